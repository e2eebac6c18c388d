"""A real HTTP server on this machine that can misbehave in the ways of real ones."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_BLOCK_BYTES = 64 * 1024


@dataclass
class Behaviour:
    """What the server serves and how; tests change it between requests.

    Attributes
    ----------
    content
        Bytes of the file.
    etag, date
        Validators; empty for none.
    ranges
        Whether `Range` is answered by 206.
    cuts
        For each coming request, after how many bytes of the body the connection breaks.
    statuses
        For each coming request, an error status to answer instead; 0 for none.
    length
        Whether the size is announced.
    shift
        Added to the first byte of a range: a server that sends another part than asked for.
    pause
        Seconds to wait after each block: a slow server.
    """

    content: bytes
    etag: str = '"one"'
    date: str = ""
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    length: bool = True
    shift: int = 0
    pause: float = 0.0
    requests: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        now = self.behaviour
        now.requests.append(dict(self.headers))
        status = now.statuses.pop(0) if now.statuses else 0
        if status:
            self.send_error(status)
            return
        start = self._start()
        if start > len(now.content):
            self.send_error(416)
            return
        body = now.content[start:]
        self.send_response(206 if start else 200)
        if start:
            total = len(now.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if now.length:
            self.send_header("Content-Length", str(len(body)))
        for name, value in (("ETag", now.etag), ("Last-Modified", now.date)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        cut = now.cuts.pop(0) if now.cuts else len(body)
        for begin in range(0, cut, _BLOCK_BYTES):
            try:
                self.wfile.write(body[begin : min(begin + _BLOCK_BYTES, cut)])
            except OSError:  # the reader has gone
                return
            time.sleep(now.pause)

    def _start(self) -> int:
        """First byte to send: that of the range, if the file is still the same."""
        now = self.behaviour
        asked = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (now.etag, now.date)
        return int(asked[6:-1]) + now.shift if asked and now.ranges and same else 0

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Address of a file on a server that runs during the block."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/file.h5ad"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

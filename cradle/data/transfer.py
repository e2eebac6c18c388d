"""One file over HTTP into a `.part` file that a later call can continue.

The part is continued only when the server says that it still serves the same file: its ETag or
date is kept beside the part and sent as `If-Range` (RFC 9110, section 13.1.5).
"""

import errno
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cradle import __version__
from cradle.files import write_json

Progress = Callable[[int, int | None], None]

_BLOCK_BYTES = 64 * 1024
_TIMEOUT_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
_FRUITLESS_ATTEMPTS = 3


class UnreachableError(Exception):
    """The server did not give the file; the message says why."""


class InterruptedTransferError(UnreachableError):
    """The connection broke; what has arrived is kept and can be continued."""


@dataclass(frozen=True)
class _Origin:
    """What the part is a part of."""

    url: str
    validator: str
    total: int | None


def transfer(url: str, part: Path, progress: Progress | None = None) -> None:
    """Bring all bytes of `url` into `part`, continuing what is there.

    Broken connections are continued as long as each brings something, and tried three times
    when it does not.

    Parameters
    ----------
    url
        Address, http or https; redirects are followed.
    part
        File to fill; it stays when this fails, for a later call.
    progress
        Called with (bytes there, bytes in all or None); what it raises cancels.

    Raises
    ------
    UnreachableError
        No connection, an error status, or a connection that keeps breaking.
    OSError
        The part cannot be written, for example because the disk is full.
    """
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _continue(url, part, progress or (lambda done, total: None))
            return
        except InterruptedTransferError:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless == _FRUITLESS_ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)


def arrived(part: Path) -> tuple[int, int | None]:
    """Bytes that are there of a part, and bytes in all where the server has said so."""
    try:
        total = json.loads(_origin_path(part).read_text(encoding="utf-8"))["total"]
    except (OSError, ValueError, TypeError, KeyError):
        total = None
    return _size(part), total if isinstance(total, int) else None


def discard(part: Path) -> None:
    """Remove a part and what is known about it."""
    _origin_path(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _continue(url: str, part: Path, progress: Progress) -> None:
    """One connection: ask for what is missing, take what comes."""
    origin = _origin(part, url)
    have = _size(part) if origin else 0
    if origin and have == origin.total:
        progress(have, have)
        return
    with _open(url, have, origin) as response:
        start, total = _range(response)
        if response.status == 416 or (response.status == 206 and start != have):
            if not have:
                raise UnreachableError(
                    "the server sent another part of the file than was asked for"
                )
            discard(part)
            raise InterruptedTransferError("the server no longer has the part that was asked for")
        if response.status == 200:
            have = 0
            discard(part)
            _remember(part, url, response, total)
        elif response.status != 206:
            raise UnreachableError(f"the server answered {response.status} {response.reason}")
        _receive(response, part, have, total, progress)


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    done: int,
    total: int | None,
    progress: Progress,
) -> None:
    """Append the body to the part; only network faults become `InterruptedTransferError`."""
    if total is not None and shutil.disk_usage(part.parent).free < total - done:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with part.open("ab") as stream:
        progress(done, total)
        while block := _read(response):
            stream.write(block)
            done += len(block)
            progress(done, total)
        stream.flush()
        os.fsync(stream.fileno())
    if total is not None and done != total:
        raise InterruptedTransferError(f"the connection broke after {done:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(
            f"the connection broke ({error or type(error).__name__})"
        ) from error


def _open(url: str, have: int, origin: _Origin | None) -> http.client.HTTPResponse:
    """The server's answer, 416 included; other errors become `UnreachableError`."""
    headers = {"User-Agent": f"cradle/{__version__}", "Accept-Encoding": "identity"}
    if have and origin:
        headers |= {"Range": f"bytes={have}-", "If-Range": origin.validator}
    request = urllib.request.Request(url, headers=headers)
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            request, timeout=_TIMEOUT_SECONDS
        )
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error  # type: ignore[return-value]  # it is a response, in all that is used
        error.close()
        kind = (
            InterruptedTransferError
            if error.code in (408, 429) or error.code >= 500
            else UnreachableError
        )
        raise kind(f"the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise InterruptedTransferError(f"no connection ({reason})") from error
    return response


def _range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """First byte and size of the whole file, as far as the answer tells."""
    if response.status == 206:
        unit, _, text = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = text.partition("/")
        first = span.partition("-")[0]
        start = int(first) if unit == "bytes" and first.isdigit() else None
        return start, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _remember(part: Path, url: str, response: http.client.HTTPResponse, total: int | None) -> None:
    """Keep what identifies the file, if the server gives something that a range may rely on."""
    tag = response.headers.get("ETag", "")
    validator = response.headers.get("Last-Modified", "") if tag[:2] in ("", "W/") else tag
    if validator:
        write_json(_origin_path(part), asdict(_Origin(url, validator, total)))


def _origin(part: Path, url: str) -> _Origin | None:
    """What is known about the part; None when it must not be continued."""
    try:
        origin = _Origin(**json.loads(_origin_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    fits = origin.total is None or _size(part) <= origin.total
    return origin if origin.url == url and fits else None


def _origin_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0

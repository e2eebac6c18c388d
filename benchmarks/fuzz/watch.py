"""Notices from outside, by the kernel's inotify, whether any process opens a file of a folder."""

import ctypes
import os
import struct
from pathlib import Path

_OPENED = 0x1 | 0x20  # IN_ACCESS, IN_OPEN
_NON_BLOCKING = 0x800


class Watch:
    """Collects the names of files that were opened in a folder, by whom ever (Linux only)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(_NON_BLOCKING)
        if self._handle < 0 or libc.inotify_add_watch(
            self._handle, os.fsencode(folder), _OPENED
        ) < 0:  # fmt: skip
            raise OSError(ctypes.get_errno(), "inotify")

    def opened(self) -> list[str]:
        """Names since the last call."""
        names = []
        try:
            data = os.read(self._handle, 65536)
        except BlockingIOError:
            return []
        while data:
            _, _, _, length = struct.unpack_from("iIII", data)
            names.append(data[16 : 16 + length].rstrip(b"\0").decode())
            data = data[16 + length :]
        return names

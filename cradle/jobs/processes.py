"""A process that can be recognised later: its number alone may belong to another one by then."""

import os
import signal
import subprocess
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def identity(pid: int) -> str | None:
    """Start time of a live process, with the boot it belongs to; None where there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _from_ps(pid)
    try:
        # the name, in parentheses, may hold anything; state and start time come after it
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":  # ended, but nobody has asked for its exit status yet
        return None
    return f"{_BOOT.read_text().strip() if _BOOT.exists() else ''}:{fields[19]}"


def alive(pid: int, known: str) -> bool:
    """Whether the process with this number is still the one that was known by this identity."""
    return bool(known) and identity(pid) == known


def terminate(pid: int, known: str) -> bool:
    """Send SIGTERM to the process, if it is still that one; whether it was sent."""
    if not alive(pid, known):
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    return True


def _from_ps(pid: int) -> str | None:
    """The same where there is no /proc (macOS)."""
    found = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = found.stdout.strip().partition(" ")
    return None if found.returncode or state.startswith("Z") else started.strip() or None

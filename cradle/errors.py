"""The one error that the user is at fault for, in three parts."""

import errno

DISK_FULL = (
    "The disk is full.",
    "no space left while a file was written; the files that were there before are unharmed.",
    "make room, then start the command again (a fit continues with --resume).",
)
INPUT_AT_FAULT = 2  # exit code of a command
MAX_SEED = 2**32 - 1  # what the generators of all libraries accept


class InputError(ValueError):
    """Input or arguments that cannot be used.

    Parameters
    ----------
    what
        What was wrong, as a sentence.
    found
        What was found instead of what is needed.
    do
        What the user can do about it.
    """

    def __init__(self, what: str, found: str, do: str) -> None:
        super().__init__(what, found, do)
        self.what, self.found, self.do = what, found, do

    def __str__(self) -> str:
        return f"{self.what} Found: {self.found} Do: {self.do}"


class NonFiniteLossError(InputError):
    """A term of the objective became NaN or infinite; the run stops where it stands."""


def check_seed(seed: int, name: str = "seed") -> None:
    """Refuse a seed that some generator cannot take (InputError)."""
    if not 0 <= seed <= MAX_SEED:
        raise InputError(
            f"The {name} is out of range.",
            f"{seed}.",
            f"Give a whole number from 0 to {MAX_SEED:,}.",
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what led to it, is that there was no room for a file."""
    while True:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(error) or "os error 28" in str(error):
            return True  # libraries that wrap what the system said in an error of their own
        if (cause := error.__cause__ or error.__context__) is None:
            return False
        error = cause

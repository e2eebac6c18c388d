"""The one error that the user is at fault for, in three parts."""

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


def check_seed(seed: int, name: str = "seed") -> None:
    """Refuse a seed that some generator cannot take (InputError)."""
    if not 0 <= seed <= MAX_SEED:
        raise InputError(
            f"The {name} is out of range.",
            f"{seed}.",
            f"Give a whole number from 0 to {MAX_SEED:,}.",
        )

"""The one error that the user is at fault for, in three parts."""


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

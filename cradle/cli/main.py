"""Reads the arguments, runs the command, and turns what happened into an exit code."""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from cradle import __version__
from cradle.cli import benchmark, data, fitting, predictions, quality
from cradle.errors import DISK_FULL, INPUT_AT_FAULT, InputError, is_disk_full
from cradle.progress import StoppedError

DONE, FAILED = 0, 1


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, without the list of all options."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(INPUT_AT_FAULT, f"{message}. See: {self.prog} --help\n")


def parser() -> Parser:
    """Every command with its options."""
    root = Parser(
        prog="python -m cradle",
        description="What a gene perturbation does to single cells: data, quality control, "
        "models that keep technical artifacts apart, predictions and their evaluation.",
        epilog="DATA is a name from 'datasets', or the path of an .h5ad file or Zarr store. "
        "Exit codes: 0 done, 2 the input or the arguments are at fault, 1 anything else.",
    )
    root.add_argument("--version", action="version", version=f"cradle {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (data, quality, fitting, predictions, benchmark):
        group.add_commands(commands)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 2 the input or the arguments are at fault, 1 anything else.
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why, or has printed the help
        return int(stop.code or DONE)
    try:
        # libraries that print must not spoil the answer
        with contextlib.redirect_stdout(sys.stderr):
            answer = arguments.run(arguments)
        answer.print(as_json=getattr(arguments, "json", False))
        return int(answer.exit_code)
    except InputError as error:
        print(f"{error.what}\n  Found: {error.found}\n  Do: {error.do}", file=sys.stderr)
        return INPUT_AT_FAULT
    except BrokenPipeError:  # the reader of stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except StoppedError as stop:
        print(f"Stopped {stop}. The same command with --resume continues.", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped before it was done.", file=sys.stderr)
        return FAILED
    except Exception as error:
        if is_disk_full(error):
            print(f"{DISK_FULL[0]}\n  Found: {DISK_FULL[1]}\n  Do: {DISK_FULL[2]}", file=sys.stderr)
            return FAILED
        traceback.print_exc()
        return FAILED

"""What several verbs share."""

from __future__ import annotations

import argparse
from typing import Any, Protocol


class Verbs(Protocol):
    """Where parsers are added: what `ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """A parser for a verb."""


def add_verb(verbs: Verbs, name: str, summary: str, description: str = "", epilog: str = "") -> argparse.ArgumentParser:
    """A verb's parser; `summary` is what the list of verbs says."""
    return verbs.add_parser(
        name,
        help=summary,
        description=description or summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def positive(text: str) -> int:
    """A command-line number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def natural(text: str) -> int:
    """A command-line number from 0 up."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())

"""From what is typed to what the border reads: files, standard input, NAME=VALUE pairs, numbers, moments.

Options build the same tree that a file would hold, and a file with options is that tree with some of it replaced; the
wire models of :mod:`pfgov.model` then check it, so that both get the same errors.  Nothing here knows a ledger.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeVar

import click

W = TypeVar("W")

in_database = click.option(
    "--store",
    metavar="URL",
    help="A PostgreSQL database to keep it in: postgresql://ROLE@HOST/DATABASE#NAME; a file in the folder by default.",
)
"""The option of commands that make or restore a ledger."""

_SPAN: Final = re.compile(r"\+?(\d{1,9})(ms|s|m|h|d)", re.ASCII)
_UNITS: Final = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_VERSIONED: Final = re.compile(r"([^@\s]+)@(\S+)")


class NumberType(click.ParamType[Decimal]):
    """An exact decimal, as it is typed."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Return the decimal that *value* spells."""
        try:
            return Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            self.fail(f"{value!r} is not a number", param, ctx)


class WhenType(click.ParamType[str]):
    """A moment in RFC 3339, or a span from now: 90s, 15m, 2h, 7d."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return *value* if it looks like a moment or a span; which moment a span means is said later."""
        text = str(value)
        if not _SPAN.fullmatch(text) and not re.match(r"\d{4}-", text):
            self.fail(
                f"{text!r} is neither a span like 15m nor a moment like 2026-06-13T20:00:00Z",
                param,
                ctx,
            )
        return text


class PairType(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the name and the value."""
        name, found, rest = str(value).partition("=")
        if not found or not name:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, rest


NUMBER: Final = NumberType()
WHEN: Final = WhenType()
PAIR: Final = PairType()


def moment_of(text: str | None, now: int) -> str | None:
    """Return the moment that *text* means at *now* (microseconds), in RFC 3339; None stays None.

    Raises:
        InvalidError: it is a span that ends where no moment is counted any more.
    """
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        return text
    from pfgov.errors import InvalidError
    from pfgov.limits import INTEGER_MAX
    from pfgov.model.times import to_moment

    moment = now + int(found[1]) * _UNITS[found[2]]
    if moment > INTEGER_MAX:
        raise InvalidError(
            f"{text} from now is after the year 2255", hint="give a shorter span, or a moment"
        )
    return to_moment(moment)


def amounts(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Return resource amounts: the numbers that can be read as such, the rest for the border to refuse."""
    made: dict[str, object] = {}
    for name, text in pairs:
        try:
            made[name] = Decimal(text)
        except InvalidOperation:
            made[name] = text
    return made


def capability(text: str) -> object:
    """Return a capability offer as the border reads it: a name, or NAME@VERSION."""
    found = _VERSIONED.fullmatch(text)
    return text if found is None else {"name": found[1], "version": found[2]}


def given(**values: object) -> dict[str, Any]:
    """Return the options that were given: neither None nor an empty tuple."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


def read_raw(path: Path) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``, and one more than may be.

    Raises:
        OSError: it cannot be read.
    """
    from pfgov.limits import REQUEST_BYTES_MAX

    if str(path) == "-":
        return sys.stdin.buffer.read(REQUEST_BYTES_MAX + 1)
    with path.open("rb") as file:
        return file.read(REQUEST_BYTES_MAX + 1)


def read_tree(path: Path | None) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty one without a file.

    Raises:
        PfgovError: ``input.*``, it is not a JSON object.
        OSError: it cannot be read.
    """
    if path is None:
        return {}
    from pfgov.errors import InvalidError
    from pfgov.limits import REQUEST_BYTES_MAX
    from pfgov.model import read_json

    tree = read_json(read_raw(path), limit=REQUEST_BYTES_MAX)
    if not isinstance(tree, dict):
        raise InvalidError(
            "this is JSON, but not an object", hint="a file holds one object: { ... }", pointer=""
        )
    return dict(tree)


def merged(tree: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *tree* with *options* in place of what it says; objects are merged one level deep."""
    made = dict(tree)
    for name, value in options.items():
        before = made.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            made[name] = {**before, **value}
        else:
            made[name] = value
    return made


file_option = click.option(
    "--file",
    "-f",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="A JSON object; - reads standard input.  Options replace parts of it.",
)
"""``--file`` of every command that takes an object."""

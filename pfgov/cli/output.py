"""What a command says and where: text with tables for people, one JSON object for programs, errors as one sentence.

Results go to standard output, errors to standard error; with ``--json`` both are one JSON object on standard output.
Colours follow the terminal, ``NO_COLOR`` and ``FORCE_COLOR``; text that came from outside is never read as markup, and
what would steer a terminal in it is escaped.
This module knows no command and no ledger.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from pfgov.limits import ID_LENGTH_MAX
from pfgov_ledger.escaping import shown as escaped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

DIRECTORY: Final = ".pfgov"
"""The ledger's folder unless told otherwise."""

DIRECTORY_VARIABLE: Final = "PFGOV_DIR"

URL_VARIABLE: Final = "PFGOV_URL"
"""The server, unless a folder is named."""


def _default_directory() -> Path:
    return Path(os.environ.get(DIRECTORY_VARIABLE) or DIRECTORY)


def console(stream: IO[str] | None = None) -> "Console":
    """Return a console that takes text as it is: no markup, no emoji, no guessing what is a number."""
    from pfgov.cli.terminal import TextConsole

    return TextConsole(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False)


def usage(message: str, hint: str) -> Exception:
    """Return the error of a command line that cannot be understood, with the next step."""
    import click

    error = click.UsageError(message)
    error.hint = hint  # type: ignore[attr-defined]  # pfgov.cli.failures shows it
    return error


@dataclass(slots=True)
class Output:
    """Where a command's words go, and where its ledger is: in a folder, or behind a server's URL.

    What is named on the command line counts before the environment; both at once are refused, because a command must
    not guess which ledger it changes.
    """

    directory: Path = field(default_factory=_default_directory)
    json: bool = False
    is_directory_named: bool = False
    named_url: str | None = None
    key_file: Path | None = None
    insecure: bool = False
    _out: "Console | None" = None

    def name_directory(self, directory: Path) -> None:
        """Take ``--dir``."""
        self.directory, self.is_directory_named = directory, True
        self._only_one()

    def name_url(self, url: str) -> None:
        """Take ``--url``."""
        self.named_url = url
        self._only_one()

    def _only_one(self) -> None:
        if self.is_directory_named and self.named_url is not None:
            raise usage(
                "--dir and --url exclude each other",
                "name the ledger's folder, or the server that has it",
            )

    @property
    def url(self) -> str | None:
        """The server to ask; None for a folder.

        Raises:
            UsageError: the environment names both.
        """
        if self.named_url is not None or self.is_directory_named:
            return self.named_url
        url = os.environ.get(URL_VARIABLE) or None
        if url is not None and os.environ.get(DIRECTORY_VARIABLE):
            raise usage(
                f"{URL_VARIABLE} and {DIRECTORY_VARIABLE} are both set",
                "say which one is meant, with --url or with --dir",
            )
        return url

    def folder(self, why: str) -> Path:
        """Return the ledger's folder, for what can only be done there.

        Raises:
            UsageError: a server was named instead; *why* says why that cannot do it.
        """
        if self.url is None:
            return self.directory
        how = "--url" if self.named_url is not None else URL_VARIABLE
        raise usage(
            f"this cannot be done with {how}: {why}",
            "run it on that machine, and name the folder: --dir DIR",
        )

    def files_only(self, why: str) -> None:
        """Refuse ``--url`` for what has nothing to do with a ledger; a URL in the environment does not matter.

        Raises:
            UsageError: a server was named.
        """
        if self.named_url is not None:
            raise usage(f"this cannot be done with --url: {why}", "leave --url out")

    def check_key_file(self) -> None:
        """Refuse a key that nobody would be shown.

        Raises:
            UsageError: a key's file was named, and no server.
        """
        if self.key_file is not None and self.url is None:
            raise usage(
                "--key-file is for a server, and none was named",
                f"name it, too, with --url or {URL_VARIABLE}; or leave --key-file out",
            )

    @property
    def out(self) -> "Console":
        """The console on standard output."""
        if self._out is None:
            self._out = console()
        return self._out

    @property
    def width(self) -> int:
        """How many columns the output has."""
        return self.out.width

    @property
    def is_interactive(self) -> bool:
        """Whether a person watches: progress bars are for them."""
        return not self.json and sys.stderr.isatty()

    def emit(self, result: Mapping[str, Any]) -> None:
        """Print the one JSON object."""
        print(json.dumps(result, indent=2, default=_plain).replace("\x7f", "\\u007f"))

    def emit_line(self, result: Mapping[str, Any]) -> None:
        """Print one of many JSON objects, on a line of its own, at once."""
        print(json.dumps(result, default=_plain).replace("\x7f", "\\u007f"), flush=True)

    def show(self, result: Mapping[str, Any], *parts: "RenderableType") -> None:
        """Print *result* as JSON if that was asked for, else *parts* for people."""
        if self.json:
            self.emit(result)
        else:
            self.tell(*parts)

    def tell(self, *parts: "RenderableType") -> None:
        """Print *parts* for people; with ``--json`` nothing.  No line ends in blanks.

        Off a terminal lines stay whole: what is pasted from there, such as a command, has to work.
        """
        if self.json:
            return
        is_watched = sys.stdout.isatty()
        for part in parts:
            with self.out.capture() as captured:
                is_whole = isinstance(part, str) and not is_watched
                self.out.print(
                    part if is_whole else _unbroken(part), soft_wrap=is_whole, crop=False
                )
            lines = captured.get().split("\n")
            sys.stdout.write("\n".join(line.rstrip() for line in lines))

    def write(self, text: str) -> None:
        """Print a whole *text*, such as Markdown or a signed note: its lines stay, what steers a terminal does not.

        Who wrote it may be a server that is not ours, or the author of a policy.
        """
        sys.stdout.write("\n".join(map(escaped, text.split("\n"))))

    @contextmanager
    def progress(self, what: str) -> "Generator[Step]":
        """Show a bar on a terminal's standard error while the block runs; elsewhere show nothing."""
        if not self.is_interactive:
            yield Step()
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
        )
        with Progress(
            *columns, TimeRemainingColumn(), console=console(sys.stderr), transient=True
        ) as bar:
            task = bar.add_task(what, total=None)

            def tell(done: int, total: int | None) -> None:
                bar.update(task, completed=done, total=total)

            yield Step(tell)


class Step:
    """Takes notice of progress: call it with how much is done, and of how much."""

    def __init__(self, tell: Callable[[int, int | None], None] | None = None) -> None:
        self._tell = tell

    def __call__(self, done: int, total: int | None = None) -> None:
        """Note that *done* of *total* are done."""
        if self._tell is not None:
            self._tell(done, total)


def _plain(value: object) -> object:
    """Return what JSON can hold of a view."""
    import msgspec

    return msgspec.to_builtins(value)


# --- parts for people -----------------------------------------------------------------------


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> "RenderableType":
    """Return a table.

    A column whose name begins with ``#`` is aligned to the right.  No word is cut in two, in a column whose name begins
    with ``!`` none however long: an id that is pasted from there has to work, so a line may be longer than the window.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [
        [cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row] for row in rows
    ]
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_edge=False)
    for i, name in enumerate(columns):
        column = [cell for row in cells for cell in row[i : i + 1]]
        made.add_column(
            name.lstrip("#!"),
            justify="right" if name.startswith("#") else "left",
            overflow="fold",
            no_wrap=name.startswith("!"),
            min_width=_longest_word(column, ID_LENGTH_MAX),
        )
    for row in cells:
        made.add_row(*row)
    return _Whole(made)


@dataclass(frozen=True, slots=True)
class _Whole:
    """Something that is as wide as its longest word needs, where the window is narrower than that."""

    table: "RenderableType"

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.measure import Measurement

        least = Measurement.get(console, options.update(width=_WIDEST), self.table).minimum
        yield from console.render(self.table, options.update(width=max(options.max_width, least)))


def _unbroken(part: "RenderableType") -> "RenderableType":
    """Return *part* so that its text breaks between words alone."""
    from rich.text import Text

    return (
        _Whole(Text(part) if isinstance(part, str) else part)
        if isinstance(part, str | Text)
        else part
    )


_WIDEST: Final = 10_000


def _longest_word(cells: "Sequence[Text]", most: int) -> int:
    """Return the width of the longest word of *cells*, but *most* of one that is longer."""
    words = (word for cell in cells for line in cell.split() for word in line.plain.split())
    return min(most, max(map(cell_width, words), default=0))


def cell_width(text: str) -> int:
    """Return how many columns *text* takes."""
    from rich.cells import cell_len

    return cell_len(text)


def facts(pairs: Iterable[tuple[str, object]]) -> "RenderableType":
    """Return a list of names and values; pairs without a value are left out."""
    from rich.table import Table
    from rich.text import Text

    rows = [
        (Text(name, style="dim"), Text(shown(value)))
        for name, value in pairs
        if value not in (None, "", [], {}, ())
    ]
    grid = Table.grid(padding=(0, 2))
    for column in zip(*rows, strict=True):
        grid.add_column(overflow="fold", min_width=_longest_word(column, ID_LENGTH_MAX))
    for row in rows:
        grid.add_row(*row)
    return _Whole(grid)


def indented(text: str, style: str = "") -> "RenderableType":
    """Return *text* set in by three columns."""
    from rich.padding import Padding
    from rich.text import Text

    return _Whole(Padding(Text(text, style=style), (0, 0, 0, 3)))


def whole(part: "RenderableType") -> "RenderableType":
    """Return *part* so wide that no word of it is broken: an id is pasted from there."""
    return _Whole(part)


def styled(text: str, style: str) -> "RenderableType":
    """Return *text* in a style."""
    from rich.text import Text

    return Text(text, style=style)


STATUS_STYLES: Final[Mapping[str, str]] = {
    "ACTIVE": "green",
    "ASSIGNED": "green",
    "COMPLETED": "green",
    "allow": "green",
    "SUSPECT": "yellow",
    "DRAINING": "yellow",
    "HANDOFF_PENDING": "yellow",
    "AWAITING_REVIEW": "yellow",
    "escalate": "yellow",
    "QUARANTINED": "red",
    "FAILED": "red",
    "deny": "red",
    "RETIRED": "dim",
    "CANCELLED": "dim",
}
"""Colours of statuses and outcomes; the word itself always stands there, too."""


def status(word: str) -> "RenderableType":
    """Return a status in its colour."""
    return styled(word, STATUS_STYLES.get(word, ""))


def remark(text: str) -> None:
    """Print a remark on standard error, with what it quotes escaped."""
    import click

    click.echo(escaped(text), err=True)


def shown(value: Any) -> str:
    """Return a value as a cell shows it: lists with commas, maps as name=value, nothing as a dash."""
    if value is None or value in ("", [], {}, ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return ", ".join(f"{name}={shown(one)}" for name, one in pairs)
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in cast("Sequence[Any]", value))
    if isinstance(value, float):
        return f"{value:g}"
    return escaped(str(value))

"""The frame that every command hangs in: lazy groups, commands that teach, and the two options they all have.

A group knows its commands by a table of names, modules and one-line summaries, so that ``pfgov --help`` imports none of
them.  A command carries an example and what to try next, both shown by ``--help`` and in the generated reference, and
takes ``--dir`` and ``--json`` in any place.  Its function returns the exit status.  This module knows no command.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import rich_click
from rich_click import RichCommand, RichContext, RichGroup, RichHelpFormatter

from pfgov.cli.blame import name_option
from pfgov.cli.output import Output
from pfgov.errors import PfgovError

STYLE: Final[dict[str, Any]] = {
    "rich_help_config": {
        "theme": "default-slim",
        "enable_theme_env_var": False,
        "style_helptext": "",
        "max_width": 100,
        "show_arguments": True,
        "text_markup": "rich",
    },
    "help_option_names": ["-h", "--help"],
}
"""How help looks, for all commands."""


GROUP: Final = "pfgov.commands"
"""The entry points through which packages above this one add commands."""

PLUGGED_IN: Final = "@"
"""Begins the target of a command that an entry point of :data:`GROUP` provides."""


class Lazy(NamedTuple):
    """A command that is imported when it is called: ``module:attribute`` or ``@entry-point``, and what help says."""

    target: str
    summary: str
    panel: str = "Commands"


def _set_directory(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Output).name_directory(value)


def _set_url(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Output).name_url(value)


def _set_key_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Output).key_file = value


def _set_insecure(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Output).insecure = True


def _set_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Output).json = True


def common_options(*, here: bool = False) -> list[click.Parameter]:
    """Return what every command takes: where the ledger is, and ``--json``.

    Args:
        here: Whether the command is about this machine alone; its help does not speak of servers then.
    """
    return [
        rich_click.RichOption(
            ["--dir", "common_dir"],
            type=click.Path(path_type=Path),
            metavar="DIR",
            is_eager=True,
            expose_value=False,
            callback=_set_directory,
            help="The ledger's folder. [dim]\\[env: PFGOV_DIR; default: .pfgov][/dim]",
        ),
        rich_click.RichOption(
            ["--url", "common_url"],
            metavar="URL",
            is_eager=True,
            expose_value=False,
            hidden=here,
            callback=_set_url,
            help="Ask the server there instead, with the key in PFGOV_API_KEY. [dim]\\[env: PFGOV_URL][/dim]",
        ),
        rich_click.RichOption(
            ["--key-file", "common_key_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            hidden=here,
            callback=_set_key_file,
            help="Read the API key from here.",
        ),
        rich_click.RichOption(
            ["--insecure", "common_insecure"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            hidden=here,
            callback=_set_insecure,
            help="Send the key over plain http, too: whoever listens has it then.",
        ),
        rich_click.RichOption(
            ["--json", "common_json"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_json,
            help="Print one JSON object instead of text.",
        ),
    ]


class _Teaching:
    """What is printed below a command's help."""

    examples: tuple[str, ...] = ()
    then: str | None = None

    def lesson(self) -> list[tuple[str, str]]:
        """Return the lines: a heading or nothing, and the text."""
        lines = [("Example", f"$ {text}") for text in self.examples[:1]]
        lines += [("", f"$ {text}") for text in self.examples[1:]]
        if self.then:
            lines.append(("Next", self.then))
        return lines

    def write_lesson(self, formatter: RichHelpFormatter) -> None:
        """Print the lines."""
        from rich.table import Table
        from rich.text import Text

        if not (lines := self.lesson()):
            return
        grid = Table.grid(padding=(0, 2))
        for heading, text in lines:
            grid.add_row(Text(heading, style="dim"), Text(text, overflow="fold"))
        formatter.write(grid)
        formatter.write("\n")


class Verb(_Teaching, RichCommand):
    """A command with an example, what to try next, and the common options.

    ``folder`` says why it works on a ledger's folder only, ``files`` why on no ledger at all; a command with neither
    works against a server, too.
    """

    def __init__(
        self,
        name: str,
        *,
        examples: Sequence[str] = (),
        then: str | None = None,
        folder: str | None = None,
        files: str | None = None,
        **kwargs: Any,
    ) -> None:
        common = common_options(here=bool(folder or files))
        params: list[click.Parameter] = [*(kwargs.pop("params", None) or []), *common]
        settings: dict[str, Any] = {**STYLE, **kwargs.pop("context_settings", {})}
        super().__init__(name=name, params=params, context_settings=settings, **kwargs)
        self.examples = tuple(examples)
        self.then = then
        self.folder = folder
        self.files = files

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, where its ledger is of a kind that it can work on."""
        output = ctx.ensure_object(Output)
        if self.folder is not None:
            output.folder(self.folder)
        if self.files is not None:
            output.files_only(self.files)
        output.check_key_file()
        try:
            return super().invoke(ctx)
        except PfgovError as error:
            name_option(error, ctx)
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - its signature
        """Print the example and what to try next."""
        if isinstance(formatter, RichHelpFormatter):
            self.write_lesson(formatter)


class _Stub(RichCommand):
    """Stands for a command that is not imported yet, where only its name and summary are shown."""

    def __init__(self, name: str, summary: str, panel: str) -> None:
        super().__init__(name=name, help=summary, panel=panel)


class Nouns(_Teaching, RichGroup):  # type: ignore[misc]  # RichCommand and Group differ in format_options
    """A group of commands, some of which are imported when they are called."""

    def __init__(
        self,
        name: str,
        *,
        lazy: Mapping[str, Lazy] | None = None,
        order: Sequence[str] = (),
        examples: Sequence[str] = (),
        then: str | None = None,
        **kwargs: Any,
    ) -> None:
        params: list[click.Parameter] = [*(kwargs.pop("params", None) or []), *common_options()]
        settings: dict[str, Any] = {**STYLE, **kwargs.pop("context_settings", {})}
        super().__init__(name=name, params=params, context_settings=settings, **kwargs)
        self.lazy = dict(lazy or {})
        self.order = tuple(order)
        self.examples = tuple(examples)
        self.then = then

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - its signature
        """Return every name: those with a place in the order first, then as they were added."""
        names = dict.fromkeys((*self.lazy, *self.commands))
        return [
            *(name for name in self.order if name in names),
            *(n for n in names if n not in self.order),
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or what stands for it in a listing."""
        lazy = self.lazy.get(cmd_name)
        if lazy is not None:
            return _Stub(cmd_name, lazy.summary, lazy.panel)
        return super().get_command(ctx, cmd_name)

    def load(self, name: str) -> click.Command | None:
        """Import and return the command *name*."""
        lazy = self.lazy.get(name)
        if lazy is None:
            return self.commands.get(name)
        if lazy.target.startswith(PLUGGED_IN):
            return _plugged_in(lazy.target.removeprefix(PLUGGED_IN))
        module, _, attribute = lazy.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* begin with.

        Raises:
            UsageError: there is none; the message names the one that was probably meant.
        """
        name = args[0]
        command = self.load(name)
        if command is not None:
            return name, command, args[1:]
        if ctx.resilient_parsing:
            return None, None, args[1:]
        near = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
        hint = f"did you mean {ctx.command_path} {near[0]}?" if near else None
        raise NoSuchVerbError(f"there is no command {name!r}", ctx, hint)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - its signature
        """Print the example and what to try next."""
        if isinstance(formatter, RichHelpFormatter):
            self.write_lesson(formatter)


def _plugged_in(name: str) -> click.Command | None:
    """Return the command that an installed package offers under *name*, or None.

    Raises:
        DuplicateCommandError: several offer it: nobody can tell which one makes keys.
    """
    from importlib.metadata import entry_points

    offered = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if len(offered) > 1:
        raise DuplicateCommandError(
            f"several installed packages offer the command {name!r}: {', '.join(sorted(offered))}",
            hint="uninstall all but the one that you trust: pip list; nothing was run",
        )
    for entry in offered.values():
        command: click.Command = entry.load()
        return command
    return None


class DuplicateCommandError(PfgovError):
    """Several installed packages offer one command."""

    code = "cli.duplicate_command"
    exit_status = 4


class NoSuchVerbError(click.UsageError):
    """A command that does not exist, with the one that was probably meant."""

    def __init__(self, message: str, ctx: click.Context, hint: str | None) -> None:
        super().__init__(message, ctx)
        self.hint = hint


Function = Callable[..., int]


FILES: Final = "it works on files of this machine, not on a ledger"
"""Why a command has no use for a server."""


def verb(
    group: RichGroup,
    name: str,
    *,
    examples: Sequence[str],
    then: str | None = None,
    folder: str | None = None,
    files: str | None = None,
) -> Callable[[Function], Verb]:
    """Return a decorator that adds a function as the command *name* of *group*.

    The function gets the :class:`Output` and its options, and returns the exit status; its docstring is the help.
    """

    def add(function: Function) -> Verb:
        made = click.command(
            name, cls=Verb, examples=examples, then=then, folder=folder, files=files
        )(click.pass_obj(function))
        group.add_command(made)
        return made

    return add


__all__ = [
    "FILES",
    "Function",
    "Lazy",
    "NoSuchVerbError",
    "Nouns",
    "Output",
    "RichContext",
    "Verb",
    "common_options",
    "verb",
]  # fmt: skip

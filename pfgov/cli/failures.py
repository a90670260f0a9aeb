"""From an error to what a person reads: one sentence, its code, the next step; never a traceback.

For programs the same is ``{"error": {"code", "message", "hint", "errors"}}`` on standard output.  The exit status comes
with the error's class.  This module catches nothing.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from pfgov.cli.output import Output, console
from pfgov.core.wording import counted
from pfgov.errors import PfgovError, Problem

USAGE: Final = 2
COULD_NOT: Final = 4

_PROBLEMS_SHOWN_MAX: Final = 12


def report(error: BaseException, output: Output) -> int:
    """Print *error* and return the exit status."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stdout.write(error.message.rstrip() + "\n")  # our own help, with its colours
        return USAGE
    code, message, hint, problems, status = _read(error)
    positioned = _positioned(error)
    if output.json:
        made = _object(code, message, hint, problems)
        if positioned:
            made["problems"] = [problem.as_dict() for problem in positioned]
        output.emit({"error": made})
    else:
        lines = [problem.as_text() for problem in positioned]
        if lines:
            _print_positioned(lines)
        else:
            _print(code, message, hint, problems, getattr(error, "named", {}))
    return status


def _read(error: BaseException) -> tuple[str, str, str | None, tuple[Problem, ...], int]:
    if isinstance(error, PfgovError):
        return error.code, error.message, error.hint, error.errors, error.exit_status
    if isinstance(error, click.ClickException):
        return "usage", _sentence(error), _usage_hint(error), (), USAGE
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        said = f"{where}{error.strerror or error}"
        return "input.unreadable", said, "check the path and its permissions", (), COULD_NOT
    code = getattr(error, "code", None)
    if isinstance(code, str):  # the ledger package has a tree of its own
        return code, str(error), getattr(error, "hint", None), (), COULD_NOT
    said = f"unexpected {type(error).__name__}: {error}"
    hint = "this is a mistake in pfgov: run it again with PFGOV_DEBUG=1 and report what it prints"
    return "pfgov.internal", said, hint, (), COULD_NOT


def _sentence(error: click.ClickException) -> str:
    text = error.format_message().strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[:2].istitle() else text


def _usage_hint(error: click.ClickException) -> str:
    hint = getattr(error, "hint", None)
    if isinstance(hint, str):
        return hint
    context = getattr(error, "ctx", None)
    path = context.command_path if isinstance(context, click.Context) else "pfgov"
    return f"see how it is used: {path} --help"


def _positioned(error: BaseException) -> list[Any]:
    """Return the problems of policy files that an error carries: file, line, column and all."""
    if not isinstance(error, PfgovError):
        return []
    return list(getattr(error, "problems", ()))


def _object(
    code: str, message: str, hint: str | None, problems: tuple[Problem, ...]
) -> dict[str, Any]:
    made: dict[str, Any] = {"code": code, "message": message, "hint": hint}
    if problems:
        made["errors"] = [
            {
                "pointer": problem.pointer,
                "detail": problem.detail,
                "code": problem.code,
                "hint": problem.hint,
            }
            for problem in problems
        ]
    return made


def _print_positioned(lines: list[str]) -> None:
    """Print problems of files in the one layout that they have, here and in ``policy check``."""
    output = console(sys.stderr)
    for text in (*lines, counted(len(lines), "error")):
        output.print(text, soft_wrap=True)


def _print(
    code: str,
    message: str,
    hint: str | None,
    problems: tuple[Problem, ...],
    named: Mapping[str, str],
) -> None:
    from rich.text import Text

    output = console(sys.stderr)
    line = Text("error: ", style="bold red")
    line.append(message, style="not bold default")
    line.append(f" [{code}]", style="dim not bold")
    output.print(line, soft_wrap=True)
    lines = [
        f"{named.get(problem.pointer, problem.pointer) or '/'}: {problem.detail}"
        + (f" ({problem.hint})" if problem.hint else "")
        for problem in problems
    ]
    if len(lines) > 1:
        said = int(problems[0].detail in message)  # the first one, as the sentence of the error
        for text in lines[said:_PROBLEMS_SHOWN_MAX]:
            output.print(f"  {text}", soft_wrap=True)
        if len(lines) > _PROBLEMS_SHOWN_MAX:
            output.print(f"  and {len(lines) - _PROBLEMS_SHOWN_MAX} more")
    if hint:
        output.print(Text.assemble(("next:  ", "bold"), hint), soft_wrap=True)

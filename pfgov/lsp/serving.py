"""The language server: documents as an editor has them, and what is said of them.

A change is checked twice: the file alone at once, then the whole folder by what ``policy check`` runs, in a process of
its own (:mod:`pfgov.lsp.beside`) and for all changes of that time together.  Answers to hover, completion and fixes
come from the text as it is and from what was read last.  The library is :mod:`pygls`, which comes with the extra and is
not typed here.
"""

import asyncio
import importlib
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pfgov
from pfgov.client.core import MissingExtraError
from pfgov.files import read_regular
from pfgov.lsp.beside import Beside, CheckLostError
from pfgov.lsp.framing import Framed
from pfgov.policy.authoring.editing import checked
from pfgov.policy.authoring.editing.fixing import LINE_CHARACTERS_MAX, fix_of
from pfgov.policy.authoring.editing.names import Meaning, Names
from pfgov.policy.limits import FILE_BYTES_MAX
from pfgov.policy.load import Files
from pfgov.policy.problems import Problem

PAUSE_SECONDS: Final = 0.2
"""How long nothing has to be typed before a whole folder is checked."""

PROBLEMS_MAX: Final = 500
"""Problems of one document that an editor is told of: ``policy check`` prints all."""

SUFFIXES: Final = (".yaml", ".yml")
_KINDS: Final[Mapping[str, str]] = {
    "fact": "Field",
    "label": "Field",
    "function": "Function",
    "param": "Constant",
    "variable": "Variable",
    "definition": "Variable",
    "rule": "Reference",
    "policy": "Module",
    "point": "EnumMember",
}


def library(name: str) -> Any:
    """Return a module of the extra.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            "the package pygls is needed to serve editors",
            hint="install it: pip install 'pfgov[lsp]'",
        ) from error


@dataclass(slots=True)
class Root:
    """A folder of policies: what was read of it last, which documents have something said of them, what is to do.

    Before it was read, a file alone says nothing: what it names may be declared in another.
    """

    files: Files | None = None
    alone: checked.Alone | None = None
    problems: tuple[Problem, ...] = ()
    shown: set[str] = field(default_factory=set[str])
    changed: bool = False
    task: "asyncio.Task[None] | None" = None


class PolicyServer:
    """Policy files in one editor; :attr:`server` is the library's."""

    def __init__(self) -> None:
        """Raise MissingExtraError where the extra is not installed."""
        self.types = library("lsprotocol.types")
        self.uris = library("pygls.uris")
        self.server: Any = library("pygls.lsp.server").LanguageServer("pfgov", pfgov.__version__)
        self._open: dict[Path, str] = {}
        self._roots: dict[Path, Root] = {}
        self.beside = Beside()
        self._register()

    def _register(self) -> None:
        types = self.types
        completion = types.CompletionOptions(trigger_characters=[".", "[", '"'])
        fixes = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
        for name, heard in (
            (types.TEXT_DOCUMENT_DID_OPEN, self._opened),
            (types.TEXT_DOCUMENT_DID_CHANGE, self._opened),
            (types.TEXT_DOCUMENT_DID_SAVE, self._opened),
            (types.TEXT_DOCUMENT_DID_CLOSE, self._closed),
        ):
            self.server.feature(name)(_notified(heard))
        for name, asked, options in (
            (types.TEXT_DOCUMENT_HOVER, self._hover, None),
            (types.TEXT_DOCUMENT_COMPLETION, self._complete, completion),
            (types.TEXT_DOCUMENT_CODE_ACTION, self._fixes, fixes),
        ):
            self.server.feature(name, options)(_asked(asked))
        self.server.feature(types.SHUTDOWN)(_asked(lambda _: self.beside.stop()))

    # --- documents -------------------------------------------------------------------------

    def _opened(self, params: Any) -> None:
        """Check what was opened, changed or saved."""
        uri = params.text_document.uri
        found = self._document(uri)
        if found is None:
            return
        path, document = found
        self._open[path] = document.source
        root = self._root(path)
        known = self._roots.setdefault(root, Root())
        if errors := self._alone(path, document.source, known):
            self._publish(uri, errors)
        self._check_soon(root, known)

    def _closed(self, params: Any) -> None:
        """Go by what is on the disk again."""
        path = self._path(params.text_document.uri)
        if path is not None and self._open.pop(path, None) is not None:
            root = self._root(path)
            self._check_soon(root, self._roots.setdefault(root, Root()))

    def _alone(self, path: Path, text: str, known: Root) -> tuple[Problem, ...]:
        """Return the errors of a file alone; none as long as nothing is known of those beside it."""
        return () if known.alone is None else known.alone.errors(path, text)

    def _path(self, uri: str) -> Path | None:
        found = self.uris.to_fs_path(uri)
        return Path(found) if found and found.endswith(SUFFIXES) and "\0" not in found else None

    def _document(self, uri: str) -> tuple[Path, Any] | None:
        """Return a policy file that the editor has open; None of any other.

        The library would read the file of one that it has not been told of: a pipe, or what never ends.
        """
        path = self._path(uri)
        document = self.server.workspace.text_documents.get(unquote(uri))
        return None if path is None or document is None else (path, document)

    def _root(self, path: Path) -> Path:
        folders = [self.uris.to_fs_path(uri) for uri in self.server.workspace.folders]
        if self.server.workspace.root_path:
            folders.append(self.server.workspace.root_path)
        inside = [Path(one) for one in folders if one and path.is_relative_to(one)]
        return checked.root_of(path, max(inside, key=lambda one: len(one.parts), default=None))

    # --- problems --------------------------------------------------------------------------

    def _check_soon(self, root: Path, known: Root) -> None:
        known.changed = True
        if known.task is None or known.task.done():
            known.task = asyncio.get_running_loop().create_task(self._check(root, known))

    async def _check(self, root: Path, known: Root) -> None:
        while known.changed:
            while known.changed:
                known.changed = False
                await asyncio.sleep(PAUSE_SECONDS)
            try:
                seen = await asyncio.to_thread(self.beside.check, root, dict(self._open))
            except CheckLostError:
                self._tell_lost(root)
                continue
            if not known.changed:
                self._tell(known, seen)

    def _tell_lost(self, root: Path) -> None:
        """Say in the editor's log that what is shown of a folder is not the newest."""
        types = self.types
        text = f"the check of {root} ended before it was done; the next change begins another"
        self.server.window_log_message(types.LogMessageParams(types.MessageType.Error, text))

    def _tell(self, known: Root, seen: checked.Seen) -> None:
        """Publish what is said of each document, and that nothing is said any more of the others."""
        files = seen.files
        if known.files is None or files.policies or files.labels or files.definitions:
            known.files = files
            if known.alone is None or not known.alone.is_beside(files):
                known.alone = checked.Alone(files)
        known.problems = seen.problems
        by_uri: dict[str, list[Problem]] = {}
        for problem in seen.problems:
            by_uri.setdefault(self.uris.from_fs_path(problem.file), []).append(problem)
        opened = {self.uris.from_fs_path(str(path)) for path in self._open}
        for uri in sorted({*by_uri, *known.shown, *opened}):
            self._publish(uri, tuple(by_uri.get(uri, ())))
        known.shown = set(by_uri)

    def _publish(self, uri: str, problems: tuple[Problem, ...]) -> None:
        types, lines = self.types, self._lines(uri)
        document = self.server.workspace.get_text_document(uri)
        self.server.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(
                uri=uri,
                version=getattr(document, "version", None),
                diagnostics=[
                    types.Diagnostic(
                        range=self._range(document, problem, lines),
                        message=problem.message + (f"\n{problem.hint}" if problem.hint else ""),
                        severity=types.DiagnosticSeverity.Error
                        if problem.severity == "error"
                        else types.DiagnosticSeverity.Warning,
                        code=problem.code,
                        source="pfgov",
                    )
                    for problem in problems[:PROBLEMS_MAX]
                ],
            )
        )

    def _lines(self, uri: str) -> list[str]:
        """Return the lines of a document as the editor has it, or of a file that it has not opened.

        The library would wait for a pipe, and read what never ends; and a text that is none would keep all that is
        said of other files from being told.
        """
        path = Path(self.uris.to_fs_path(uri) or "")
        text = self._open.get(path)
        if text is None:
            try:
                text = read_regular(path, FILE_BYTES_MAX).decode(errors="replace")
            except OSError:
                return []
        return text.split("\n")

    def _range(self, document: Any, problem: Problem, lines: list[str]) -> Any:
        at = max(problem.line - 1, 0)
        line = lines[at] if at < len(lines) else ""
        end = checked.end_of(problem, line) - 1
        return self._client_range(document, lines, at, max(problem.column - 1, 0), end)

    def _client_range(
        self, document: Any, lines: list[str], line: int, start: int, end: int
    ) -> Any:
        """Return a stretch of a line, given in code points, in the units that the client counts in.

        To count them takes the whole line before it: in one that nobody reads it is the line's beginning.
        """
        types, codec = self.types, document.position_codec
        if len(lines[line] if line < len(lines) else "") > LINE_CHARACTERS_MAX:
            start = end = 0
        return types.Range(
            start=codec.position_to_client_units(lines or [""], types.Position(line, start)),
            end=codec.position_to_client_units(lines or [""], types.Position(line, end)),
        )

    # --- answers ---------------------------------------------------------------------------

    def _place(self, params: Any) -> tuple[Any, str, int, int, Names] | None:
        opened = self._document(params.text_document.uri)
        if opened is None:
            return None
        path, document = opened
        text: str = document.source
        at = document.position_codec.position_from_client_units(text.split("\n"), params.position)
        known = self._roots.get(self._root(path), Root())
        return document, text, at.line, at.character, Names(known.files or Files())

    def _hover(self, params: Any) -> Any:
        """Say what the name under the cursor means."""
        place = self._place(params)
        found = place[4].meaning_at(*place[1:4]) if place is not None else None
        if place is None or found is None:
            return None
        meaning, start, end = found
        types = self.types
        return types.Hover(
            contents=types.MarkupContent(types.MarkupKind.Markdown, meaning.as_markdown()),
            range=self._client_range(place[0], place[1].split("\n"), place[2], start, end),
        )

    def _complete(self, params: Any) -> Any:
        """Say what could stand at the cursor."""
        place = self._place(params)
        found = [] if place is None else place[4].completions(*place[1:4])
        return self.types.CompletionList(
            is_incomplete=False, items=[self._item(meaning) for meaning in found]
        )

    def _item(self, meaning: Meaning) -> Any:
        types = self.types
        return types.CompletionItem(
            label=meaning.name,
            kind=getattr(types.CompletionItemKind, _KINDS[meaning.kind]),
            detail=meaning.type or None,
            documentation=types.MarkupContent(types.MarkupKind.Markdown, meaning.as_markdown()),
        )

    def _fixes(self, params: Any) -> Any:
        """Offer what was probably meant, for what is wrong in the lines that the client asks about."""
        opened = self._document(params.text_document.uri)
        if opened is None:
            return []
        path, document = opened
        uri, types = params.text_document.uri, self.types
        lines = document.source.split("\n")
        asked = range(params.range.start.line, params.range.end.line + 1)
        known = self._roots.get(self._root(path), Root())
        actions: list[Any] = []
        for problem in dict.fromkeys((*known.problems, *self._alone(path, document.source, known))):
            fix = fix_of(problem, lines) if problem.file == str(path) else None
            if fix is None or fix.line not in asked:
                continue
            where = self._client_range(document, lines, fix.line, fix.start, fix.end)
            edit = types.WorkspaceEdit(changes={uri: [types.TextEdit(where, fix.text)]})
            actions.append(
                types.CodeAction(title=fix.title, kind=types.CodeActionKind.QuickFix, edit=edit)
            )
        return actions


def _notified(of: Callable[[Any], None]) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Return *of* as a function that the library can note something on, which it cannot on a method."""

    async def heard(params: Any) -> None:
        of(params)

    return heard


def _asked(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def asked(params: Any) -> Any:
        return of(params)

    return asked


def serve_stdio() -> None:
    """Serve over standard input and output until the editor leaves.

    Raises:
        MissingExtraError: the extra is not installed.
        TooLargeError: the editor sent a message that is longer than any.
    """
    served = PolicyServer()
    # The library closes what it is given; the command's own streams stay.
    with os.fdopen(os.dup(0), "rb") as lines, os.fdopen(os.dup(1), "wb") as answers:
        framed = Framed(lines)
        try:
            served.server.start_io(framed, answers)
        finally:
            served.beside.stop()
        if framed.fault is not None:
            raise framed.fault

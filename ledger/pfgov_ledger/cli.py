"""``pfgov-verify``: verify a lineage export, a receipt, a proof or a signed report of impact, offline.

Only arguments, files, the clock and the terminal are here; what is checked is in
:mod:`pfgov_ledger.verify` and :mod:`pfgov_ledger.impact`, which are imported late so that ``--help`` is quick.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from pfgov_ledger.checkpoint import Checkpoint
    from pfgov_ledger.conclusions import Question, Witnessing
    from pfgov_ledger.examine import Progress
    from pfgov_ledger.impact import RecomputerFactory
    from pfgov_ledger.keys import Anchor
    from pfgov_ledger.note import Vkey

EXIT_USAGE: Final = 2
EXIT_NOT_CHECKED: Final = 4
_TEXT_BYTES_MAX: Final = 65_536
_AGE: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_VERDICTS: Final = (
    "integrity", "authenticity", "completeness", "custody", "freshness", "non_equivocation", "replay",
)  # fmt: skip

_EPILOG: Final = """\
exit status:
  0  everything required was checked and holds
  1  checked, and something failed
  2  the command line makes no sense
  4  something required could not be checked (no key, unreadable, unknown version)
  5  the file is cut short; what is there holds

The anchor is the small public text that `pfgov ledger keys` prints.  Get it from
somewhere else than the export: keys in the export itself are never believed.

examples:
  pfgov-verify fp-001.lineage.jsonl --key anchor.txt --subject packet/fp-001
  pfgov-verify all.lineage.jsonl.gz --key anchor.txt --full --remember seen.note --init
  pfgov-verify entry-4.tlog-proof --key anchor.txt --via root.vkey --witness witnesses.txt
  pfgov-verify impact.json --about all.lineage.jsonl --key anchor.txt --replay
"""
_OF_EXPORTS: Final = (
    "subject", "full", "range", "remember", "init", "new_anchor", "witness", "quorum", "max_age",
    "via", "quick", "require",
)  # fmt: skip
_OF_REPORTS: Final = ("publisher_key", "replay", "set")
_PUBLIC: Final = re.compile(r"[0-9a-f]{64}")
RECOMPUTERS: Final = "pfgov.recomputers"
"""The group of entry points in which a policy engine says that it can make a report of impact again."""


class CommandError(Exception):
    """The command line, or a file that it names, cannot be used; the message says what to do."""

    def __init__(self, message: str, status: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.status = status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see pfgov-verify --help")


def parser() -> argparse.ArgumentParser:
    """The command line's description."""
    top = _Parser(
        prog="pfgov-verify",
        description="Verify a lineage export, a receipt, a tlog-proof or a signed report of impact, offline.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "file", metavar="FILE", help="NAME.lineage.jsonl, plain or .gz; - is standard input"
    )
    top.add_argument("--key", metavar="ANCHOR", help="the anchor file: log key and genesis hash")
    asked = top.add_mutually_exclusive_group()
    asked.add_argument("--subject", metavar="S", help="ask for one history, e.g. packet/fp-001")
    asked.add_argument("--full", action="store_true", help="ask for the whole log")
    asked.add_argument("--range", action="store_true", help="ask for a range of entries")
    top.add_argument("--remember", metavar="NOTE", help="compare with, then keep, a checkpoint")
    top.add_argument("--init", action="store_true", help="with --remember: there is none yet")
    top.add_argument(
        "--new-anchor", metavar="FILE", help="write the anchor anew, under the log's present key"
    )
    top.add_argument("--witness", metavar="VKEYS", help="file of witness keys, one a line")
    top.add_argument("--quorum", type=int, metavar="N", help="witnesses needed (default: all)")
    top.add_argument("--max-age", metavar="AGE", help="of the newest cosignature: 90s, 5m, 2h, 7d")
    top.add_argument(
        "--via",
        metavar="ROOT",
        help="FILE leads to the witnesses through a root over many ledgers: its verifier key, or a file with it",
    )
    top.add_argument("--quick", action="store_true", help="leave entry signatures out")
    top.add_argument("--require", metavar="V,V", help="verdicts that must pass, comma-separated")
    top.add_argument(
        "--about",
        metavar="EXPORT",
        help="FILE is a signed report of impact on the history in EXPORT",
    )
    top.add_argument(
        "--publisher-key", metavar="HEX", help="with --about: who has to have signed, by public key"
    )
    top.add_argument(
        "--replay",
        action="store_true",
        help="with --about: make the report again, compare the bytes",
    )
    top.add_argument(
        "--set", metavar="PATH", help="with --replay: the proposed set's folder or bundle"
    )
    top.add_argument("--processes", type=int, metavar="N", help="for signatures (default: cores)")
    top.add_argument("--json", action="store_true", help="print the report as JSON")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    from pfgov_ledger.streams import show_anything, take_places

    if None in {sys.stdin, sys.stdout, sys.stderr}:
        take_places()
    show_anything()
    try:
        arguments = parser().parse_args(argv)
        return _run(arguments)
    except CommandError as error:
        _say(str(error))
        return error.status
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            _say(f"cannot write the report: {error.strerror}")
        _give_up_stdout()
        return EXIT_NOT_CHECKED
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_NOT_CHECKED


def _give_up_stdout() -> None:
    """Keep what could not be written from changing the exit status while Python ends."""
    from pfgov_ledger.streams import quiet_stdout

    try:
        sys.stdout.flush()
    except OSError:
        quiet_stdout()


def _say(message: str) -> None:
    """Write a message; it may quote a file or a name that somebody chose to steer the terminal."""
    from pfgov_ledger.escaping import shown

    sys.stderr.write(f"pfgov-verify: {shown(message)}\n")


def _run(arguments: argparse.Namespace) -> int:
    from pfgov_ledger import errors, remember
    from pfgov_ledger.reader import OTHER_GZIP, is_other_gzip
    from pfgov_ledger.report import dumps
    from pfgov_ledger.verify import verify

    if arguments.about is not None:
        return _run_about(arguments)
    for name in _OF_REPORTS:
        if getattr(arguments, name):
            raise CommandError(f"--{name.replace('_', '-')} belongs to --about EXPORT")
    keep = None if arguments.remember is None else Path(arguments.remember)
    if arguments.init and keep is None:
        raise CommandError("--init belongs to --remember")
    remembered = _remembered(keep, is_first=arguments.init)
    if arguments.file != "-" and is_other_gzip(Path(arguments.file)):
        raise CommandError(OTHER_GZIP, EXIT_NOT_CHECKED)
    report = verify(
        sys.stdin.buffer if arguments.file == "-" else Path(arguments.file),
        anchor=_anchor(arguments.key),
        question=_question(arguments),
        remembered=remembered,
        is_remembering=keep is not None and not arguments.init,
        witnessing=_witnessing(arguments),
        via=None if arguments.via is None else root_key(arguments.via),
        quick=arguments.quick,
        require=_required(arguments.require),
        processes=_processes(arguments.processes),
        progress=_progress(),
    )
    unread = report.verdicts["integrity"]
    if unread.why == "unreadable":
        _say(f"cannot read {arguments.file}: {unread.detail}")
    sys.stdout.write(dumps(report) if arguments.json else report.to_text())
    sys.stdout.flush()
    if keep is not None and report.exit_status == 0 and report.note:
        try:
            remember.store(keep, report.note)
        except errors.LedgerError as error:
            raise CommandError(str(error), EXIT_NOT_CHECKED) from None
    if arguments.new_anchor is not None and report.exit_status == 0:
        _write_anchor(Path(arguments.new_anchor), report.anchor)
    return report.exit_status


def _run_about(arguments: argparse.Namespace) -> int:
    """Hold a signed report of impact to the export that it is about."""
    from pfgov_ledger import impact, impact_report
    from pfgov_ledger.envelope import BYTES_MAX
    from pfgov_ledger.reader import OTHER_GZIP, is_other_gzip

    for name in _OF_EXPORTS:
        if getattr(arguments, name) not in {None, False}:
            raise CommandError(f"--{name.replace('_', '-')} does not go with --about")
    if arguments.publisher_key is not None and not _PUBLIC.fullmatch(arguments.publisher_key):
        raise CommandError("--publisher-key is the hex of a public key, 64 digits")
    if arguments.set is not None and not arguments.replay:
        raise CommandError("--set belongs to --replay")
    path = Path(arguments.about)
    if is_other_gzip(path):
        raise CommandError(OTHER_GZIP, EXIT_NOT_CHECKED)
    found = impact.examine(
        sys.stdin.buffer.read(BYTES_MAX + 1)
        if arguments.file == "-"
        else _read_bytes(arguments.file, "report", BYTES_MAX + 1),
        path,
        anchor=_anchor(arguments.key),
        publisher_key=arguments.publisher_key,
        recomputer=_recomputer() if arguments.replay else None,
        is_replaying=arguments.replay,
        source=None if arguments.set is None else Path(arguments.set),
        processes=_processes(arguments.processes),
        progress=_progress(),
    )
    sys.stdout.write(impact_report.dumps(found) if arguments.json else impact_report.to_text(found))
    sys.stdout.flush()
    return found.exit_status


def _recomputer() -> "RecomputerFactory | None":
    """The policy engine that is installed here and says that it makes reports of impact; None where there is none."""
    from importlib.metadata import entry_points
    from typing import cast

    offered = {point.value: point for point in entry_points(group=RECOMPUTERS, name="impact")}
    if len(offered) > 1:
        raise CommandError(
            f"several installed packages make reports of impact again: {', '.join(sorted(offered))}; "
            "uninstall all but the one that you trust",
            EXIT_NOT_CHECKED,
        )
    for point in offered.values():
        try:
            return cast("RecomputerFactory", point.load())
        except ImportError as error:
            raise CommandError(
                f"the policy engine cannot be loaded: {error}", EXIT_NOT_CHECKED
            ) from None
    return None


def _write_anchor(path: Path, text: str) -> None:
    if not text:
        raise CommandError(
            "no new anchor: that takes an export, and an anchor with its genesis line",
            EXIT_NOT_CHECKED,
        )
    from pfgov_ledger import files

    try:
        files.create(path, text.encode("ascii"), 0o644)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", EXIT_NOT_CHECKED) from None


def _read_text(path: str, what: str) -> str:
    raw = _read_bytes(path, what, _TEXT_BYTES_MAX + 1)
    # What is behind that counts, too: of witnesses all have to have cosigned.
    if len(raw) > _TEXT_BYTES_MAX:
        raise CommandError(
            f"the {what} {path} is larger than {_TEXT_BYTES_MAX} bytes", EXIT_NOT_CHECKED
        )
    return raw.decode("utf-8", errors="replace")


def _read_bytes(path: str, what: str, most: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise CommandError(
            f"cannot read the {what} {path}: {error.strerror}", EXIT_NOT_CHECKED
        ) from None


def _anchor(path: str | None) -> "Anchor | None":
    if path is None:
        return None
    from pfgov_ledger import errors, keys

    try:
        return keys.parse_anchor(_read_text(path, "anchor"))
    except errors.LedgerError as error:
        raise CommandError(f"{path} is not an anchor: {error}", EXIT_NOT_CHECKED) from None


def _question(arguments: argparse.Namespace) -> "Question":
    from pfgov_ledger import vocabulary
    from pfgov_ledger.conclusions import Question

    if arguments.subject is not None:
        if not vocabulary.is_subject(arguments.subject):
            raise CommandError(
                f"{arguments.subject!r} is not a subject; write packet/ID, member/ID, policy, keys or ledger"
            )
        return Question("subject", arguments.subject)
    if arguments.full:
        return Question("full")
    return Question("range") if arguments.range else Question()


def _remembered(path: Path | None, *, is_first: bool) -> "Checkpoint | None":
    if path is None:
        return None
    from pfgov_ledger import errors, remember

    try:
        found = remember.load(path)
    except errors.LedgerError as error:
        raise CommandError(str(error), EXIT_NOT_CHECKED) from None
    if found is not None and is_first:
        raise CommandError(f"{path} exists already; leave --init out")
    return found


def _witnessing(arguments: argparse.Namespace) -> "Witnessing":
    from pfgov_ledger.conclusions import Witnessing

    vkeys: tuple[Vkey, ...] = ()
    if arguments.witness is not None:
        vkeys = _vkeys(arguments.witness)
        if not vkeys:
            raise CommandError(
                f"there is no key in {arguments.witness}: nobody would have to have cosigned",
                EXIT_NOT_CHECKED,
            )
    elif arguments.quorum is not None or arguments.max_age is not None:
        raise CommandError("--quorum and --max-age need --witness")
    witnesses = len({vkey.public for vkey in vkeys})
    quorum = witnesses if arguments.quorum is None else arguments.quorum
    if not 0 <= quorum <= witnesses:
        raise CommandError(f"a quorum of {quorum} among {witnesses} witnesses")
    max_age = None
    if arguments.max_age is not None:
        match = _AGE.fullmatch(arguments.max_age)
        if match is None:
            raise CommandError(f"{arguments.max_age!r} is not an age; write 90s, 5m, 2h or 7d")
        max_age = int(match.group(1)) * _SECONDS[match.group(2)]
    return Witnessing(vkeys, quorum, max_age, _now())


def root_key(text: str) -> "Vkey":
    """The key of a root, as it stands or as the one key in a file; raises CommandError."""
    from pfgov_ledger import errors, note

    try:
        found = note.parse_vkey(text)
    except errors.LedgerError as error:
        if not Path(text).is_file():
            raise CommandError(f"--via is a verifier key or a file with one: {error}") from None
        inside = _vkeys(text)
        if len(inside) != 1:
            raise CommandError(
                f"{text} holds {len(inside)} keys, and a path leads through one root"
            ) from None
        found = inside[0]
    if found.algorithm != note.ED25519:
        raise CommandError(f"{found.name}'s key is not a log's (type 0x01)")
    return found


def _vkeys(path: str) -> "tuple[Vkey, ...]":
    from pfgov_ledger import errors, keys, note

    lines = [line.strip(" \t") for line in keys.lines_of(_read_text(path, "witness file"))]
    try:
        return tuple(note.parse_vkey(line) for line in lines if line and not line.startswith("#"))
    except errors.LedgerError as error:
        raise CommandError(f"{path}: {error}", EXIT_NOT_CHECKED) from None


def _required(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip().replace("-", "_") for name in text.split(","))
    for name in names:
        if name not in _VERDICTS:
            raise CommandError(f"{name!r} is not a verdict; there are {', '.join(_VERDICTS)}")
    return names


def _processes(asked: int | None) -> int:
    if asked is not None and asked < 1:
        raise CommandError("--processes is 1 or more")
    if asked is not None:
        return asked
    import os

    return min(os.cpu_count() or 1, 8)


def _now() -> int:
    import time

    return int(time.time())  # noqa: TID251 (the verifier's own clock, for --max-age alone)


def _progress() -> "Progress | None":
    """A progress bar on standard error, when a person is looking."""
    if not sys.stderr.isatty():
        return None
    width = 32

    def show(done: int, whole: int) -> None:
        share = min(done / max(whole, 1), 1.0)
        filled = int(share * width)
        end = "\r" if share < 1 else "\r" + " " * (width + 30) + "\r"
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (width - filled)}] {done} of {whole}{end}")
        sys.stderr.flush()

    return show

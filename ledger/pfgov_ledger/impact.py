"""A signed report of impact, held to the history that it is about: whose it is, and whether it is right.

Whose it is follows from the signature and from the publishers' keys that the ledger trusts, or one that the reader
pins.  What it is about is held to an export, which is verified as any other.  Whether it is right only a policy engine
can say (:class:`Recomputer`), which is a plug-in here: the report is made again, and the bytes are compared.  What
stands in a report beside its first lines is not known here.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, cast

from pfgov_ledger import dsse, envelope, errors, merkle, replaying
from pfgov_ledger.conclusions import Question
from pfgov_ledger.entry import HEX32, Entry
from pfgov_ledger.examine import Progress
from pfgov_ledger.keys import Anchor
from pfgov_ledger.replaying import Replayer, ReplayUnavailableError
from pfgov_ledger.report import Report
from pfgov_ledger.verdicts import (
    EXIT_FAILED,
    EXIT_NOT_CHECKED,
    EXIT_PASSED,
    REPLAY,
    Findings,
    Status,
    Verdict,
)
from pfgov_ledger.verify import verify

FORMAT: Final = "pfgov.impact/v1"

SIGNATURE: Final = "signature"
SIGNER: Final = "signer"
EXPORT: Final = "export"
HISTORY: Final = "history"
NAMES: Final = (SIGNATURE, SIGNER, EXPORT, HISTORY, REPLAY)
"""What is said of a report of impact, in this order."""

WHY: Final = {
    "not_asked": "not asked for; --replay makes the report again",
    "not_signed": "it is not what somebody signed",
    "export_failed": "the export does not hold, so that nothing can be held to it",
    "export_not_checked": "the export could not be checked",
    "history_failed": "it is about another history",
    "no_replayer": "no policy engine is installed here; install pfgov beside this program",
    "set_missing": "the proposed set is not in the export; name its folder or bundle with --set",
}
"""Reason codes of *not checked*, and what they mean."""


class ImpactAlteredError(errors.MalformedError, code="ledger.impact_altered"):
    """This is not a report of impact as somebody signed it."""


class ImpactSignerError(errors.AuthenticityError, code="ledger.impact_signer"):
    """The key that signed the report is not one that is trusted."""


class ImpactLedgerError(errors.TreeError, code="ledger.impact_other_ledger"):
    """The report is about another ledger, or another history of this one."""


class ImpactRangeError(errors.TreeError, code="ledger.impact_other_range"):
    """The report is about more entries than there are, or about none that can be."""


class ImpactSetError(errors.TreeError, code="ledger.impact_other_set"):
    """The report is about another policy set, or about one in the place of another."""


class ImpactDiffersError(errors.TreeError, code="ledger.impact_differs"):
    """The report, made again, comes out otherwise."""


class Recomputer(Replayer, Protocol):
    """Runs recorded commands again and asks a policy set beside them."""

    def encoded(self) -> bytes:
        """The canonical bytes of the report, after :meth:`finish`."""
        ...

    def close(self) -> None:
        """Let go of what the replay held."""
        ...


class RecomputerFactory(Protocol):
    """Makes a :class:`Recomputer`: the entry point ``impact`` of the group ``pfgov.recomputers``."""

    def __call__(self, about: "About", document: bytes | None, source: Path | None) -> Recomputer:
        """Begin before the first entry.

        Args:
            about: What the report says that it is about.
            document: The proposed set as the export has it, where it has it.
            source: The folder or bundle that the reader named.

        Raises:
            ReplayUnavailableError: ``set_missing``, there is neither.
            LedgerError: What was named is another set, or none.
        """
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a report says that it is about; see ``pfgov policy impact``."""

    origin: str
    size: int
    root: str
    first: int
    sample: int
    binding: str | None
    proposed: str


@dataclass(slots=True)
class _Key:
    """What a ledger says of a publisher's key: whose it is, since which entry, and how it ended."""

    name: str
    since: int
    expires_at: int | None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Vouched:
    """What was found of a signed report of impact.

    ``key`` signed it, in hex; ``signer`` is whose it is by the ledger, with the entry that says so; ``rests`` are the
    activations of the export that rest on this report.
    """

    verdicts: dict[str, Verdict]
    required: tuple[str, ...]
    about: About | None = None
    key: str | None = None
    signer: tuple[str, int] | None = None
    standing: str = "unknown"
    rests: tuple[int, ...] = ()
    export: Report | None = field(default=None, repr=False)

    @property
    def exit_status(self) -> int:
        """What a program that prints this exits with, as of a verified export."""
        if any(one.status is Status.FAIL for one in self.verdicts.values()):
            return EXIT_FAILED
        if any(self.verdicts[name].status is not Status.PASS for name in self.required):
            return EXIT_NOT_CHECKED
        return EXIT_PASSED


class _History:
    """What a report is held to, gathered from entries that were verified; a replayer that replays nothing."""

    def __init__(self, about: About, digest: str) -> None:
        self._about, self._digest = about, digest
        self._tree = merkle.Frontier()
        self.root = ""
        self.keys: dict[str, _Key] = {}
        self.binding: str | None = None
        self.now = 0
        self.document: bytes | None = None
        self.rests: list[int] = []

    def feed(self, of: Entry) -> None:
        """Take the next entry."""
        if of.seq < self._about.size:
            self._tree.add(of.leaf)
            if self._tree.size == self._about.size:
                self.root = self._tree.root().hex()
        self.now = of.time
        self._note(of)

    def _note(self, of: Entry) -> None:
        body = cast("dict[str, object]", of.body)
        name, expires = str(body.get("name")), body.get("expires_at")
        until = expires if isinstance(expires, int) else None
        match of.type:
            case "publisher_trusted":
                known = self.keys.setdefault(str(body.get("key")), _Key(name, of.seq, until))
                known.expires_at = until
            case "publisher_rotated":
                self._end(str(body.get("old")), "rotated")
                self.keys[str(body.get("new"))] = _Key(name, of.seq, until)
            case "publisher_revoked":
                self._end(str(body.get("key")), "revoked")
            case "policy_activated":
                if of.seq < self._about.size:
                    self.binding = str(body.get("digest"))
                report = body.get("report")
                if (
                    isinstance(report, dict)
                    and cast("dict[str, object]", report).get("digest") == self._digest
                ):
                    self.rests.append(of.seq)
            case _:
                pass

    def _end(self, public: str, how: str) -> None:
        if public in self.keys:
            self.keys[public].ended = how

    def policy_set(self, digest: str, content: bytes) -> None:
        """Keep the set that the report is about."""
        if digest == self._about.proposed:
            self.document = content

    def finish(self) -> None:
        """There is nothing to compare."""

    def standing(self, public: str) -> str:
        """How a key stands at the end of the export: trusted, expired, rotated, revoked or unknown."""
        key = self.keys.get(public)
        if key is None:
            return "unknown"
        if key.ended is not None:
            return key.ended
        return "expired" if key.expires_at is not None and key.expires_at <= self.now else "trusted"


def examine(  # noqa: PLR0913 (each is one thing that the reader pins, asks or allows)
    raw: bytes,
    path: Path,
    *,
    anchor: Anchor | None,
    publisher_key: str | None = None,
    recomputer: RecomputerFactory | None = None,
    is_replaying: bool = False,
    source: Path | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Vouched:
    """Hold the signed report *raw* to the full export at *path*.

    Args:
        raw: The bytes of the report's file.
        path: The export.
        anchor: What the reader pins of the ledger.
        publisher_key: The key that has to have signed it, in hex; without it one that the ledger trusts.
        recomputer: The policy engine, where there is one.
        is_replaying: Whether the report is to be made again.
        source: The folder or bundle with the proposed set; without it the set has to be in the export.
        processes: As of :func:`pfgov_ledger.verify.verify`.
        progress: Called now and then.
    """
    said = _Verdicts(is_replaying=is_replaying)
    try:
        payload, about, key = _opened(raw)
    except errors.LedgerError as error:
        said.fail(SIGNATURE, error)
        return Vouched(said.all("not_signed"), said.required)
    said.verdicts[SIGNATURE] = Verdict(Status.PASS)
    history = _History(about, _sha256(payload))
    export = verify(
        path,
        anchor=anchor,
        question=Question("full"),
        processes=processes,
        progress=progress,
        replayer=history,
    )
    why = _export(export, said)
    if why is None:
        _signer(said, history, key, publisher_key)
        _history(said, history, about, export)
        if is_replaying and said.holds(HISTORY):
            _replay(said, path, export, payload, _Made(recomputer, about, history.document, source))
    known = history.keys.get(key) if why is None else None
    return Vouched(
        said.all(why or "history_failed"),
        said.required,
        about,
        key,
        None if known is None else (known.name, known.since),
        history.standing(key) if why is None else "unknown",
        tuple(history.rests) if why is None else (),
        export,
    )


class _Verdicts:
    """What was found so far, by name."""

    def __init__(self, *, is_replaying: bool) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.required = NAMES if is_replaying else NAMES[:-1]
        if not is_replaying:
            self.leave(REPLAY, "not_asked")

    def fail(self, name: str, error: errors.LedgerError) -> None:
        self.verdicts[name] = Verdict(
            Status.FAIL, error.code, error.position, error.expected, error.found, detail=str(error)
        )

    def leave(self, name: str, why: str, detail: str | None = None) -> None:
        self.verdicts[name] = Verdict(Status.NOT_CHECKED, why=why, detail=detail)

    def holds(self, name: str) -> bool:
        return self.verdicts[name].status is Status.PASS

    def all(self, why: str) -> dict[str, Verdict]:
        """Every verdict in order; what was not come to is not checked, for the reason *why*."""
        left = Verdict(Status.NOT_CHECKED, why=why)
        return {name: self.verdicts.get(name, left) for name in NAMES}


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def _opened(raw: bytes) -> tuple[bytes, About, str]:
    """The signed bytes, what they are about, and whose key signed them."""
    try:
        payload, public = envelope.unseal_bytes(raw, dsse.IMPACT_TYPE)
        found: object = json.loads(payload)
        return payload, _about(found), public.hex()
    except (errors.LedgerError, ValueError, RecursionError) as error:
        raise ImpactAlteredError(
            f"this is not a report of impact as somebody signed it: {error}"
        ) from None


def _about(found: object) -> About:
    top = _object(found)
    ledger = _object(top.get("ledger"))
    if top.get("format") != FORMAT:
        raise errors.MalformedError(f"it is no {FORMAT}")
    root, proposed, binding = ledger.get("root"), top.get("proposed"), top.get("binding")
    for digest in (root, proposed, *([] if binding is None else [binding])):
        if not isinstance(digest, str) or HEX32.fullmatch(digest) is None:
            raise errors.MalformedError("a digest in it is none")
    numbers = [ledger.get(name) for name in ("size", "first", "sample")]
    if not all(type(number) is int and 0 <= number < 1 << 53 for number in numbers):
        raise errors.MalformedError("a number in it is none")
    size, first, sample = cast("list[int]", numbers)
    return About(
        str(ledger.get("origin")), size, str(root), first, sample,
        None if binding is None else str(binding), str(proposed),
    )  # fmt: skip


def _object(found: object) -> dict[str, object]:
    if not isinstance(found, dict):
        raise errors.MalformedError("an object has to stand here")
    return cast("dict[str, object]", found)


def _export(export: Report, said: _Verdicts) -> str | None:
    """Say whether the export holds; return why nothing can be held to it, or None."""
    found = export.verdicts
    first = export.first_failure
    if first is not None:
        said.verdicts[EXPORT] = found[first]
        return "export_failed"
    left = [
        found[name] for name in (*export.required, REPLAY) if found[name].status is not Status.PASS
    ]
    if left:
        said.leave(EXPORT, "export_not_checked", left[0].why)
        return "export_not_checked"
    said.verdicts[EXPORT] = Verdict(Status.PASS)
    return None


def _signer(said: _Verdicts, history: _History, key: str, pinned: str | None) -> None:
    standing = history.standing(key)
    is_held = standing in {"rotated", "expired"} and bool(history.rests)
    if pinned is not None and pinned != key:
        said.fail(SIGNER, ImpactSignerError("another key signed it", expected=pinned, found=key))
    elif pinned is None and standing != "trusted" and not is_held:
        said.fail(
            SIGNER,
            ImpactSignerError(expected="a key that the ledger trusts", found=f"{key}, {standing}"),
        )
    else:
        said.verdicts[SIGNER] = Verdict(Status.PASS)


def _history(said: _Verdicts, history: _History, about: About, export: Report) -> None:
    shape = export.export
    origin, size = ("", 0) if shape is None else (shape.origin, shape.size)
    error: errors.LedgerError | None = None
    if about.origin != origin:
        error = ImpactLedgerError(expected=origin, found=about.origin)
    elif not 0 < about.size <= size or about.first > about.size or about.sample < 1:
        error = ImpactRangeError(
            expected=f"at most {size} entries", found=f"{about.first} to {about.size}"
        )
    elif about.root != history.root:
        error = ImpactLedgerError(expected=history.root, found=about.root, position=about.size)
    elif about.binding != history.binding:
        error = ImpactSetError(
            "it is about a change of another binding set",
            expected=str(history.binding), found=str(about.binding), position=about.size,
        )  # fmt: skip
    if error is None:
        said.verdicts[HISTORY] = Verdict(Status.PASS)
    else:
        said.fail(HISTORY, error)


@dataclass(frozen=True, slots=True)
class _Made:
    """What a report is made again with."""

    factory: RecomputerFactory | None
    about: About
    document: bytes | None
    source: Path | None

    def recomputer(self) -> Recomputer:
        if self.factory is None:
            raise ReplayUnavailableError("no_replayer")
        return self.factory(self.about, self.document, self.source)


def _replay(said: _Verdicts, path: Path, export: Report, payload: bytes, made: _Made) -> None:
    """Make the report again from the export, and compare the bytes."""
    assert export.checkpoint is not None
    findings = Findings()
    recomputer: Recomputer | None = None
    try:
        recomputer = made.recomputer()
        replaying.replay(path, recomputer, findings, bytes.fromhex(export.checkpoint.root))
        found = findings.verdicts()[REPLAY]
        if found.status is Status.PASS:
            again = recomputer.encoded()
            if again != payload:
                raise ImpactDiffersError(expected=_sha256(payload), found=_sha256(again))
        said.verdicts[REPLAY] = found
    except ReplayUnavailableError as error:
        said.leave(REPLAY, error.why, str(error))
    except errors.LedgerError as error:
        said.fail(REPLAY, error)
    finally:
        if recomputer is not None:
            recomputer.close()

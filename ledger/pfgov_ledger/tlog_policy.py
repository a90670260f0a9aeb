"""C2SP tlog-policy files: which logs and witnesses count, and how many of them are enough.

``log VKEY [URL]``, ``witness NAME VKEY [URL]``, ``group NAME all|any|K MEMBER...`` and one ``quorum NAME|none``; names
are defined before they are used.  What is done at the URLs is not known here.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import errors, note
from pfgov_ledger.note import Vkey

LINES_MAX: Final = 1_000
NONE: Final = "none"
_WITNESS_TYPES: Final = {note.COSIGNATURE_V1, note.COSIGNATURE_MLDSA44}


class PolicyFileError(errors.UsageError, code="ledger.policy_file"):
    """The file is not a C2SP tlog-policy."""


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its key, and where it is reached, if the file says so."""

    vkey: Vkey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the file says.

    Attributes:
        logs: Logs, by their origin; one may have several keys.
        witnesses: Name in the file -> the witness.
        groups: Name -> how many of which members.
        quorum: The witness or group that must have cosigned; None asks for nobody.
    """

    logs: Mapping[str, tuple[Party, ...]]
    witnesses: Mapping[str, Party]
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    quorum: str | None

    def is_met(self, cosigned: AbstractSet[bytes]) -> bool:
        """Whether witnesses with these raw public keys are enough."""
        # One after the other, since each name is defined before it is used: groups in groups may be a thousand deep.
        has = {name: one.vkey.public in cosigned for name, one in self.witnesses.items()}
        for name, (least, members) in self.groups.items():
            has[name] = sum(has[member] for member in members) >= least
        return self.quorum is None or has[self.quorum]


def parse(text: str) -> Policy:
    """Read a policy file.

    Raises:
        PolicyFileError: It is none; the message names the line.
    """
    found = _Reading()
    lines = text.split("\n")
    if len(lines) > LINES_MAX:
        raise PolicyFileError(
            "too many lines", expected=f"at most {LINES_MAX}", found=str(len(lines))
        )
    for number, line in enumerate(lines, 1):
        items = line.replace("\t", " ").split(" ")
        words = [item for item in items if item]
        if words and not words[0].startswith("#"):
            try:
                found.take(words)
            except (errors.LedgerError, ValueError) as error:
                raise PolicyFileError(f"line {number}: {error}") from None
    if not found.is_ended:
        raise PolicyFileError("no quorum line; `quorum none` asks for nobody")
    return Policy(found.logs, found.witnesses, found.groups, found.quorum)


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.logs: dict[str, tuple[Party, ...]] = {}
        self.witnesses: dict[str, Party] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.quorum: str | None = None
        self.is_ended = False
        self._keys: set[bytes] = set()
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        """Take one line."""
        kind, *rest = words
        if kind == "log" and 1 <= len(rest) <= 2:
            party = self._party(rest[0], rest[1:], {note.ED25519})
            self.logs[party.vkey.name] = (*self.logs.get(party.vkey.name, ()), party)
        elif kind == "witness" and 2 <= len(rest) <= 3:
            self._define(rest[0])
            self.witnesses[rest[0]] = self._party(rest[1], rest[2:], _WITNESS_TYPES)
        elif kind == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], tuple(rest[2:]))
        elif kind == "quorum" and len(rest) == 1 and not self.is_ended:
            if rest[0] != NONE:
                self._known(rest[0])
                self.quorum = rest[0]
            self.is_ended = True
        else:
            raise ValueError(f"not a line of a policy: {' '.join(words)[:80]}")

    def _party(self, text: str, urls: list[str], types: AbstractSet[int]) -> Party:
        vkey = note.parse_vkey(text)
        if vkey.algorithm not in types:
            raise ValueError(f"a key of type {vkey.algorithm:#04x} cannot stand here")
        if vkey.public in self._keys:
            raise ValueError("this key stands there already")
        self._keys.add(vkey.public)
        return Party(vkey, urls[0] if urls else None)

    def _define(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise ValueError(f"the name {name[:80]} is taken")

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise ValueError(f"nothing before this line is called {name[:80]}")

    def _group(self, name: str, how: str, members: tuple[str, ...]) -> None:
        self._define(name)
        for member in members:
            self._known(member)
            if member in self._members:
                raise ValueError(f"{member[:80]} is a member already")
            self._members.add(member)
        counts = {"all": len(members), "any": 1}
        if how not in counts and (not how.isascii() or not how.isdigit() or how[0] == "0"):
            raise ValueError("a group asks for all, any, or a number")
        least = counts.get(how) or int(how)
        if not 1 <= least <= len(members):
            raise ValueError(f"{least} of {len(members)} members")
        self.groups[name] = (least, members)

"""Forms: reading entries quickly by the patterns of entries that were read strictly before.

Most entries of a log differ from an earlier one only in what their strings and integers say.  A *form* is
made of one entry that passed every check of its own bytes (``FORMAT.md`` section 12, checks 2 and
3): a pattern of its bytes in which a string may be any printable ASCII that needs no escape, and an
integer any one of its range; keys, order, nesting, names in maps, log, term and issuer stand as they are.
So whatever a form matches is canonical, of the same shape, and under the subject that its body names.
What no form matches is not wrong: it is read strictly (:mod:`pfgov_ledger.entry`), and only that way refuses.

A property test holds the two ways together.  Whether entries follow one another is not known here.
"""

import json
import re
from binascii import unhexlify
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from pfgov_ledger import entry, vocabulary
from pfgov_ledger.canonical import Json
from pfgov_ledger.commitments import Named, is_commitment
from pfgov_ledger.entry import Entry

LEARN_AFTER: Final = 4
"""Entries of one type and number of strings that no form matched before one of them makes a form."""
FORMS_MAX: Final = 256
"""Forms in all: making one takes milliseconds, and a hostile file could ask for one an entry."""
FORMS_ALIKE_MAX: Final = 4
"""Forms that are tried for one entry."""
FORM_BYTES_MAX: Final = 8_192
"""The largest entry that a form is made of: a pattern takes several times as much."""
_KEPT_MAX: Final = 4_096
_KEPT_BYTES_MAX: Final = 256

READ: Final = frozenset({"cause", "epoch", "incarnation", "outcome", "owner", "source", "target"})
"""The body members that :mod:`pfgov_ledger.custody` reads: all that an entry read by a form has."""

_STRING: Final = rb'"[ !#-\[\]-~]*"'
_COUNT: Final = rb"(?:[1-8][0-9]{0,15}|9[0-9]{0,14}|0)"
_INTEGER: Final = rb"(?:-?[1-8][0-9]{0,15}|-?9[0-9]{0,14}|0)"
_HEX32: Final = rb"[0-9a-f]{64}"
_NUMBER, _LINK = b"(%b)" % _COUNT, b"(%b)" % _HEX32
_NONE: Final = ()
_TYPE_END: Final = -len(b'","v":1}')


class Form(NamedTuple):
    """A pattern with what every entry of it has: its type and log, and where its groups are.

    ``named`` and ``read`` are (group, name): commitments by their field, and members of :data:`READ`.
    """

    pattern: re.Pattern[bytes]
    type: str
    log: str
    term: int
    issuer: bytes
    prefix: str
    id: int
    named: tuple[tuple[int, str], ...]
    read: tuple[tuple[int, str], ...]


class Forms:
    """The forms of one file, learned as it is read."""

    def __init__(self) -> None:
        self._forms: dict[tuple[bytes, int], list[Form]] = {}
        self._seen: dict[tuple[bytes, int], int] = {}
        self._texts: dict[bytes, Json] = {}
        self._count = 0

    def read(self, raw: bytes) -> tuple[Entry, Sequence[Named]] | None:
        """The entry with the members of :data:`READ` for a body, and its commitments; None if no form fits."""
        if len(raw) > entry.ENTRY_BYTES_MAX:
            return None
        for form in self._forms.get(_key(raw), _NONE):
            match = form.pattern.fullmatch(raw)
            if match is not None:
                return self._entry(form, match.groups(), raw)
        return None

    def _entry(
        self, form: Form, groups: tuple[bytes, ...], raw: bytes
    ) -> tuple[Entry, Sequence[Named]] | None:
        index, command_seq, prev, seq, subject_prev, subject_seq, time = groups[-7:]
        place, command = int(seq), int(command_seq)
        if command + int(index) != place:
            return None
        texts, body = self._texts, dict[str, Json]()
        for group, name in form.read:
            text = groups[group]
            if text in texts:
                body[name] = texts[text]
                continue
            body[name] = json.loads(text)
            if len(text) <= _KEPT_BYTES_MAX:
                if len(texts) >= _KEPT_MAX:
                    texts.clear()
                texts[text] = body[name]
        of = Entry._make((
            1, form.log, place, form.term, unhexlify(prev), form.prefix + groups[form.id].decode(),
            int(subject_seq), unhexlify(subject_prev), form.issuer, int(time), command,
            place - command, form.type, body, raw, sha256(b"\0" + raw).digest(),
        ))  # fmt: skip
        if not form.named:
            return of, _NONE
        return of, tuple((groups[group].decode(), field) for group, field in form.named)

    def learn(self, of: Entry) -> None:
        """Perhaps make a form of *of*, which was read strictly and passed check 3 too."""
        key = _key(of.raw)
        if len(self._seen) >= _KEPT_MAX:
            self._seen.clear()
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        if seen % LEARN_AFTER or self._count >= FORMS_MAX or len(of.raw) > FORM_BYTES_MAX:
            return
        alike = self._forms.get(key, [])
        form = None if len(alike) >= FORMS_ALIKE_MAX else _Maker(of).form()
        if form is not None:
            self._forms[key] = [*alike, form]
            self._count += 1


def _key(raw: bytes) -> tuple[bytes, int]:
    """Entries of one form agree in this: the type, and how many quotation marks there are."""
    return raw[raw.rfind(b'"', 0, _TYPE_END) + 1 : _TYPE_END], raw.count(b'"')


class _Unfit(Exception):  # noqa: N818 (no error: the strict way reads such entries)
    """No form can be made of this entry."""


class _Maker:
    """Writes the pattern of one entry."""

    def __init__(self, of: Entry) -> None:
        self._of = of
        self._rule = vocabulary.EVENTS[of.type]
        self._groups = 0
        self._named: list[tuple[int, str]] = []
        self._read: list[tuple[int, str]] = []
        self._id = 0

    def form(self) -> Form | None:
        """The form, or None if the entry's type or body is too special for one."""
        of = self._of
        if self._rule not in {"packet", "member"} or not of.raw.isascii() or b"\\" in of.raw:
            return None
        try:
            body = self._object(of.body, "", is_body=True)
        except _Unfit:
            return None
        subject = _literal(f"{self._rule}/") + b"(?P=id)"
        pattern = (
            rb'\{"body":%b,"command":\{"index":%b,"seq":%b\},"issuer":"%b","log":"%b","prev":"%b","seq":%b,'
            rb'"subject":"%b","subject_prev":"%b","subject_seq":%b,"term":%d,"time":%b,"type":"%b","v":1\}'
        ) % (
            body, _NUMBER, _NUMBER, of.issuer.hex().encode(), _literal(of.log), _LINK, _NUMBER,
            subject, _LINK, _NUMBER, of.term, _NUMBER, of.type.encode(),
        )  # fmt: skip
        return Form(
            re.compile(pattern), of.type, of.log, of.term, of.issuer, f"{self._rule}/", self._id,
            tuple(self._named), tuple(self._read),
        )  # fmt: skip

    def _group(self) -> int:
        self._groups += 1
        return self._groups - 1

    def _value(self, value: Json, field: str) -> bytes:
        if isinstance(value, dict):
            return self._object(value, field)
        if isinstance(value, list):
            return rb"\[%b\]" % b",".join(self._value(item, field) for item in value)
        if isinstance(value, str):
            return _STRING
        if value is None or isinstance(value, bool):
            return {None: b"null", True: b"true", False: b"false"}[value]
        return _INTEGER

    def _map(self, pairs: list[Json], field: str) -> bytes:
        """A map, with its names as they are, so that they stay unique and in order."""
        parts: list[bytes] = []
        for pair in pairs:
            match pair:
                case [str(name), value]:
                    parts.append(rb'\["%b",%b\]' % (_literal(name), self._value(value, field)))
                case _:
                    raise _Unfit
        return rb"\[%b\]" % b",".join(parts)

    def _object(self, members: dict[str, Json], field: str, *, is_body: bool = False) -> bytes:
        if is_commitment(members) and type(members["size"]) is int:
            self._named.append((self._group(), field))
            return rb'\{"digest":"(%b)","size":%b\}' % (_HEX32, _INTEGER)
        if members.keys() == {"digest", "size"}:  # others of this shape may be commitments
            raise _Unfit
        parts: list[bytes] = []
        for name, value in members.items():
            parts.append(b'"%b":%b' % (name.encode(), self._member(name, value, is_body=is_body)))
        return rb"\{%b\}" % b",".join(parts)

    def _member(self, name: str, value: Json, *, is_body: bool) -> bytes:
        if is_body and name == f"{self._rule}_id":
            self._id = self._group()
            return b'"(?P<id>%b)"' % vocabulary.ID_PATTERN.encode()
        if is_body and name in READ:
            self._read.append((self._group(), name))
            return b"(%b)" % self._value(value, name)
        if name in vocabulary.PAIR_FIELDS and isinstance(value, list):
            return self._map(value, name)
        return self._value(value, name)


def _literal(text: str) -> bytes:
    return re.escape(text.encode())

"""Hostile values for property tests and for the simulator: what the border takes, and what it has to refuse.

Every generator draws from a :class:`Source`.  There are two: :class:`Seeded` over a ``random.Random``, for histories
that a seed reproduces, and :class:`Drawn` inside a Hypothesis test, so that a failure shrinks.  Both draw from the same
tables, which have those of the simulator's histories in them: names in capitals, with separators, one a prefix of
another, alike but for case, out of order; collections that are empty, single, maximal and never sorted; principals of
every kind; labels that read like other types.

``*_ADMITTED`` is what a door takes and so can be on record; ``*_REFUSED`` is what must be refused before it gets there.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

from hypothesis import strategies as st

from pfgov import limits
from pfgov.core import commands as c
from pfgov.sim import names as sim_names

T = TypeVar("T")

# --- the tables -----------------------------------------------------------------------------------

IDS_ADMITTED: Final = tuple(dict.fromkeys((
    *sim_names.MEMBERS,
    "m", "M", "m1", "m10", "m2", "M-1", "m_1", "m.1", "m:1", "m@host", "m~1", "Zoe", "zoe", "a", "A", "0", "00", "9z",
    "alice", "Alice", "aIice", "keys:1", "member:m1", "packet:p", "local2", "x" * limits.ID_LENGTH_MAX,
)))  # fmt: skip
"""Ids of members and packets: compared byte by byte, so that each of these is another one."""

IDS_RESERVED: Final = (
    "local", "anyone", "key:abc", "oidc:issuer:sub", "pfgov:engine", "Local", "ANYONE", "Key:abc", "pfGov:engine",
)  # fmt: skip
"""Ids of principals, which no member can have, in no spelling."""

IDS_ALIKE: Final = (
    "AGENT-10",
    "Agent-10",
    "agent-1O",
    "agent-1o",
    "agent-l0",
    "agent-I0",
    "agent-lO",
)
"""What a person takes for ``agent-10``; of members, only one of these is on record."""

IDS_TOLD_APART: Final = (
    "agent_10",
    "agent.10",
    "agent:10",
    "agent-10.",
    "agent10",
    "agent-i0",
    "agent-100",
    "agent-1",
)
"""Ids beside ``agent-10`` that a person can tell from it."""

NAMES_ADMITTED: Final = tuple(dict.fromkeys((
    *sim_names.SKILLS,
    "ocr", "kyc", "zeta", "alpha", "a", "a1", "a10", "a2", "policy_review", "customer.validation", "x-y", "x-y.z",
    "0day",
)))  # fmt: skip
"""Capabilities and workload types in their one spelling, in no order."""

CLASSES_ADMITTED: Final = (
    "pii.email", "pii", "pii.special", "pii.special.health", "financial", "secret.level-2", "a_b.c", "tool.shell",
)  # fmt: skip
"""Data classes and clearances in their one spelling: lower-case dotted names."""

REGIONS_ADMITTED: Final = (
    "us-east/1a",
    "us-east",
    "eu-west",
    "eu",
    "us-east/1",
    "ap_south.2",
    "us-east-1",
    "eu/west/a",
)
"""Regions in their one spelling, some within others and some that only look so."""

ODD_TEXTS: Final = (
    "", " ", " pii", "pii ", "\tpii", "pii\n", "p\u200bii", "pii\u200d", "\ufeffpii", "pii\u00ad", "p\u00efi",
    "p\u0456i", "\uff50ii", "pii\u2060", "\u202epii", "pii\x00", "e\u0301", "K\u212a", "pii\u3164", "\U0001f600",
)  # fmt: skip
"""Empty, blank, trailing, zero-width, combining, compatible and confusable characters; no name may hold them."""

CLASSES_REFUSED: Final = (
    "PII", "Pii.customer", "PII.customer", "PII:special", "pii:email", "pii_email", "pii-email", "piicustomer",
    "pii/email", "pii..email", "pii.", ".pii", "pii.-x", "pii.Email", "pii@x", "x" * 129, *ODD_TEXTS,
)  # fmt: skip
"""What looks like a data class to a person, and would be another word to a rule."""

REGIONS_REFUSED: Final = (
    "US-East",
    "us-east/",
    "/us-east",
    "us-east//1a",
    "us-east/1A",
    "EU",
    "us east",
    "eu~west",
    *ODD_TEXTS,
)
NAMES_REFUSED: Final = ("OCR", "Ocr", "ocr_", "-ocr", "ocr.", "o cr", "ocr:", *ODD_TEXTS)

LABEL_NAMES_ADMITTED: Final = (
    "risk",
    "amount",
    "z",
    "a",
    "a.b",
    "app/tier",
    "app:tier",
    "0",
    "x-y_z",
    "n" * 63,
)
LABEL_VALUES_ADMITTED: Final = (
    "", "high", "low", "HIGH", "true", "True", "null", "1", "1.0", "01", "-1", "1e3", "NaN", "Infinity", "2026-12-01",
    "2026-12-01T00:00:00Z", "99999999999999999999", "[]", "{}", '"', "'", "\\", "a b", "\u00fc", "\u65e5\u672c",
    "x" * 256,
)  # fmt: skip
"""Texts that read like every other type, and a few that need escaping."""

LABEL_VALUES_REFUSED: Final = (
    "high ",
    " high",
    "hi\u200bgh",
    "high\u200d",
    "\ufeffhigh",
    "hi\u00adgh",
    "e\u0301",
    "\x00",
)

QUANTITIES: Final = (
    "0",
    "0.000001",
    "0.1",
    "0.25",
    "1",
    "1.5",
    "2",
    "16",
    "999999999",
    "999999999.999999",
)
SCORES: Final = (None, "0", "0.000001", "0.1", "0.5", "0.799999", "0.8", "0.95", "1")
DIMENSIONS: Final = ("cpu", "memory", "gpu", "tasks", "z9", "a_b")
VERSIONS: Final = (None, "1", "1.0", "1.10", "1.9", "2.0rc1", "3!1.0", "1.0+local.1")
SPECIFIERS: Final = ("", "", "", ">=1.2", "<2", "<2,>=1.2", "==1.*", "~=1.4", "!=1.9")
KINDS: Final = ("agent", "service", "tool", "node", "vnode", "model", "human", "worker")
RIGHTS: Final = ("admin", "assessor", "auditor", "operator", "reviewer", "submitter")

PRINCIPALS: Final = (
    c.LOCAL_OPERATOR,
    c.Principal(id="key:Zq9", rights=("submitter",)),
    c.Principal(id="key:Rev1", rights=("reviewer",)),
    c.Principal(id="key:Both", rights=("reviewer", "submitter")),
    c.Principal(id="key:Trust", rights=("assessor",)),
    c.Principal(id="key:All", rights=RIGHTS),
    c.Principal(id="key:None", rights=()),
    c.Principal(id="key:Acts", rights=("member:M", "member:m1", "submitter")),
    c.Principal(id="oidc:https://issuer.test:Sub", rights=("operator",)),
    c.Principal(id="anyone", rights=("submitter",)),
)
"""The person at the command line, keys with one scope, with several, with all, with none, one that acts for members,
a person from outside, and whoever comes without a key."""


# --- where values come from -----------------------------------------------------------------------


class Source(Protocol):
    """Where a generator gets its choices from."""

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*."""
        ...


class Seeded:
    """Choices of a seeded generator."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*."""
        return self._source.randint(low, high)


class Drawn:
    """Choices of Hypothesis, which shrinks them."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from *low* to *high*."""
        return self._draw(st.integers(low, high))


def one(source: Source, options: Sequence[T]) -> T:
    """Return one of *options*."""
    return options[source.integer(0, len(options) - 1)]


def some(source: Source, options: Sequence[T], most: int | None = None) -> tuple[T, ...]:
    """Return different ones of *options*, at most *most*, in any order: none, one, a few, or as many as there are."""
    full = len(options) if most is None else min(most, len(options))
    count = one(source, (0, 1, min(2, full), min(5, full), full)) if full else 0
    rest, picked = list(options), list[T]()
    while len(picked) < count:
        picked.append(rest.pop(source.integer(0, len(rest) - 1)))
    return tuple(picked)


def chance(source: Source, percent: int) -> bool:
    """Return true that often in a hundred."""
    return source.integer(0, 99) >= 100 - percent


# --- pieces ---------------------------------------------------------------------------------------


def _pairs(names: Sequence[str], value: Callable[[], str]) -> c.Pairs:
    """Return a free-form map as commands hold it: the border puts names in byte order."""
    return tuple((name, value()) for name in sorted(names))


def labels(source: Source) -> c.Pairs:
    """Return labels: none, a few, or as many as are allowed."""
    if chance(source, 5):
        return tuple((f"l{number:02}", "x" * 256) for number in range(limits.LABELS_MAX))
    return _pairs(some(source, LABEL_NAMES_ADMITTED, 5), lambda: one(source, LABEL_VALUES_ADMITTED))


def amounts(source: Source) -> c.Pairs:
    """Return a capacity or a demand."""
    return _pairs(some(source, DIMENSIONS, 3), lambda: one(source, QUANTITIES))


def capabilities(source: Source) -> tuple[c.Capability, ...]:
    """Return capabilities in the order of somebody who does not sort, with and without versions."""
    if chance(source, 3):
        names: tuple[str, ...] = tuple(f"c{number}" for number in range(limits.CAPABILITIES_MAX))
    else:
        names = some(source, NAMES_ADMITTED, 5)
    return tuple(c.Capability(name=name, version=one(source, VERSIONS)) for name in names)


def requirements(source: Source) -> tuple[str, ...]:
    """Return what a packet requires: mostly little, or nobody would ever get it."""
    if chance(source, 60):
        return ()
    return tuple(f"{name}{one(source, SPECIFIERS)}" for name in some(source, NAMES_ADMITTED, 2))


def classes(source: Source) -> tuple[str, ...]:
    """Return data classes or clearances, out of order."""
    return () if chance(source, 50) else some(source, CLASSES_ADMITTED)


def regions(source: Source) -> tuple[str, ...] | None:
    """Return the regions that a packet allows: any, none, or some out of order."""
    return None if chance(source, 60) else some(source, REGIONS_ADMITTED)


def constraints(source: Source) -> c.Constraints:
    """Return what a packet itself demands."""
    return c.Constraints(
        pii_review_required=chance(source, 8),
        minimum_trust_score=one(source, (None, None, *SCORES)),
        allowed_regions=regions(source),
    )


def principal(source: Source, members: Sequence[str] = ()) -> c.Principal:
    """Return somebody who asks; sometimes one who acts for one of *members*."""
    if members and chance(source, 30):
        return c.Principal(
            id="key:acts", rights=tuple(sorted({f"member:{m}" for m in some(source, members, 3)}))
        )
    return one(source, PRINCIPALS)


# --- commands -------------------------------------------------------------------------------------


def register(source: Source, member_id: str) -> c.RegisterMember:
    """Return the registration of a member."""
    return c.RegisterMember(
        member_id=member_id,
        type=one(source, KINDS),
        capabilities=capabilities(source),
        capacity=amounts(source) if chance(source, 40) else (),
        region=one(source, (None, *REGIONS_ADMITTED)),
        clearances=classes(source),
        labels=labels(source),
        weight=one(source, (1, 1, 2, 7)),
        trust_score=one(source, SCORES),
        handoff_mode=one(source, ("auto", "auto", "accept")),
    )


def update_member(source: Source, member_id: str) -> c.UpdateMember:
    """Return a change of some of a member's fields."""
    return c.UpdateMember(
        member_id=member_id,
        region=one(source, (None, None, *REGIONS_ADMITTED)),
        clearances=classes(source) if chance(source, 30) else None,
        labels=labels(source) if chance(source, 30) else None,
        discovered=capabilities(source)[:4] if chance(source, 40) else (),
    )


def submit(source: Source, packet_id: str) -> c.SubmitPacket:
    """Return a packet."""
    return c.SubmitPacket(
        packet_id=packet_id,
        workload_type=one(source, NAMES_ADMITTED),
        lineage_id=one(source, IDS_ADMITTED),
        required_capabilities=requirements(source),
        constraints=constraints(source),
        handoff=c.HandoffTerms(allowed=not chance(source, 10)),
        demand=amounts(source) if chance(source, 30) else (),
        data_classes=classes(source),
        priority=one(source, (0, 0, 1, limits.PRIORITY_MAX)),
        labels=labels(source),
        hold=chance(source, 10),
    )


def update_packet(source: Source, packet_id: str) -> c.UpdatePacket:
    """Return a change of some of a packet's terms, which may widen them."""
    return c.UpdatePacket(
        packet_id=packet_id,
        data_classes=classes(source) if chance(source, 30) else None,
        required_capabilities=requirements(source) if chance(source, 30) else None,
        constraints=constraints(source) if chance(source, 20) else None,
        labels=labels(source) if chance(source, 60) else None,
        priority=one(source, (None, 0, 5)),
    )


# --- strategies -----------------------------------------------------------------------------------


def drawn(make: Callable[..., T], *arguments: Any) -> st.SearchStrategy[T]:
    """Return the strategy of what *make* makes of a source and *arguments*, each a value or a strategy.

    >>> drawn(submit, st.sampled_from(IDS_ADMITTED))  # doctest: +SKIP
    """

    @st.composite
    def made(draw: st.DrawFn) -> T:
        given: list[object] = []
        for argument in arguments:
            is_drawn = isinstance(argument, st.SearchStrategy)
            given.append(
                draw(cast("st.SearchStrategy[object]", argument)) if is_drawn else argument
            )
        return make(Drawn(draw), *given)

    return made()


def ids() -> st.SearchStrategy[str]:
    """Return ids that members and packets may have."""
    return st.sampled_from(IDS_ADMITTED)


def principals() -> st.SearchStrategy[c.Principal]:
    """Return principals of every kind."""
    return st.sampled_from(PRINCIPALS)


def registrations() -> st.SearchStrategy[c.RegisterMember]:
    """Return registrations."""
    return drawn(register, ids())


def submissions() -> st.SearchStrategy[c.SubmitPacket]:
    """Return packets."""
    return drawn(submit, ids())


def refused_texts() -> st.SearchStrategy[str]:
    """Return texts that are no name of anything."""
    return st.sampled_from(ODD_TEXTS) | st.text(
        st.characters(categories=["Cf", "Zs", "Mn", "Lu", "Lo"]), min_size=1, max_size=12
    ).map(lambda text: f"pii{text}")

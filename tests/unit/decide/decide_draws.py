"""What the commands of the walks are drawn from: sensible more often than not, and each field hostile at times."""

import typing
from collections.abc import Callable
from typing import Any, Final

import msgspec
from support import hostile
from support.hostile import Seeded, chance, one, some
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.ledger import SETTINGS
from pfgov.core.lifecycle import TERMINAL

MEMBERS: Final = ("m1", "m2", "m3", "m4")
PACKETS: Final = tuple(f"p{number:02}" for number in range(60))
KEYS: Final = (*(str(number) * 64 for number in range(1, 9)), "short")
DIGESTS: Final = ("f" * 64, "e" * 64, "d" * 64)
NUMBERS: Final = ("0", "1", "2", "5", "0.5", "0.9", "1.5", "90", "-1", "x", "10000000000000000000")
SCHEDULERS: Final = ("rendezvous", "binpack", "ring", "trust-weighted", "nobody")


class Drawn:
    """What the fields of one command are drawn from."""

    def __init__(self, world: World, source: Seeded, kind: type[c.Action]) -> None:
        self.world, self.source = world, source
        self.member_id = one(source, MEMBERS)
        self.packet_id = _some_packet(world, source, kind)
        self.packet = world.state.packets.get(self.packet_id)
        self.member = world.state.members.get(self.member_id)

    def one(self, *options: Any) -> Any:
        """Return one of *options*."""
        return one(self.source, options)

    def near(self, number: int) -> int:
        """Return *number*, mostly, or one beside it."""
        return number + self.one(0, 0, 0, 0, 1, -1)

    def moment(self) -> int:
        """Return a moment before, now or after."""
        return self.world.now + self.one(-1, 0, 1, 30, 3_600, 10**6) * 1_000_000

    def owner(self) -> c.OwnerClaim:
        """Return the claim of the present owner, or one that does not hold."""
        if self.packet is not None and self.packet.owner is not None and chance(self.source, 80):
            return self.world.claim(self.packet_id)
        return c.OwnerClaim(
            member_id=self.member_id, incarnation=self.one(0, 1, 2), epoch=self.one(0, 1, 2, 3)
        )

    def commitment(self) -> c.Commitment:
        """Return a commitment to some payload."""
        return c.Commitment(digest=self.one("a", "b", "c") * 64, size=self.one(64, 256))

    def context_view(self) -> str | None:
        """Return what the target of a handoff read, mostly."""
        if self.packet is None or self.packet.context is None:
            return self.one(None, None, "a" * 64)
        return self.one(*[self.packet.context.digest] * 4, None, "b" * 64)

    def pairs(self, names: tuple[str, ...], *values: str) -> c.Pairs:
        """Return a few names with values."""
        return tuple((name, self.one(*values)) for name in sorted(some(self.source, names, 3)))

    def publisher(self) -> str:
        """Return the name of a publisher."""
        return self.one("acme", "acme", "other", "Not A Name")

    def publishers_key(self) -> tuple[str, str]:
        """Return the name of a publisher and a key, mostly one that it has or had."""
        known = [
            (name, key.public)
            for name, publisher in self.world.state.publishers.items()
            for key in publisher.keys
        ]
        if known and chance(self.source, 75):
            return one(self.source, known)
        return self.publisher(), one(self.source, KEYS)

    def bundle(self) -> c.BundleRef:
        """Return a bundle of a publisher."""
        name, key = self.publishers_key()
        return c.BundleRef(publisher=name, key=key, version=self.one("1", "2"), manifest="9" * 64)

    def report(self) -> c.ReportRef:
        """Return a report of impact that is, mostly, about this ledger."""
        state = self.world.state
        return c.ReportRef(
            digest="8" * 64, key=self.one(*KEYS[:2]), origin=self.one(state.origin, state.origin, "other.test/x"),
            size=self.one(state.size, max(1, state.size - 50)), root="7" * 64, first=0, sample=0,
            proposed=one(self.source, DIGESTS), binding=self.one(state.policy, state.policy, None),
        )  # fmt: skip

    def setting(self) -> c.Pairs:
        """Return settings with values that are, mostly, of their kind."""
        names = (*sorted(SETTINGS), "scheduler", "scheduler.work", "nothing")
        return tuple(
            (name, self.one(*(SCHEDULERS if "scheduler" in name else NUMBERS)))
            for name in sorted(some(self.source, names, 2))
        )


def _some_packet(world: World, source: Seeded, kind: type[c.Action]) -> str:
    """Return a packet that a command of *kind* is about: nobody's yet, one that fits, one that lives, or any."""
    known = world.state.packets
    if kind is c.SubmitPacket and chance(source, 90):
        return next((name for name in PACKETS if name not in known), PACKETS[0])
    living = [packet for packet in known.values() if packet.status not in TERMINAL]
    fitting = living
    if kind in {c.AcceptHandoff, c.AbortHandoff}:
        fitting = [packet for packet in living if packet.pending is not None]
    elif kind in {c.ReviewPacket, c.ExpireReview}:
        fitting = [packet for packet in living if packet.request is not None]
    elif kind in {c.HandOff, c.CommitCheckpoint, c.RejudgeOwner, c.StallOwner, c.CompletePacket}:
        fitting = [packet for packet in living if packet.owner is not None]
    if fitting and chance(source, 80):
        return one(source, fitting).packet_id
    return (
        one(source, living).packet_id
        if living and chance(source, 90)
        else one(source, (*known, PACKETS[-1]))
    )


def _epoch(drawn: Drawn) -> int:
    return drawn.near(drawn.packet.epoch if drawn.packet else 0)


def _incarnation(drawn: Drawn) -> int:
    return drawn.near(drawn.member.incarnation if drawn.member else 1)


def _handoff(drawn: Drawn) -> int:
    pending = drawn.packet.pending if drawn.packet else None
    return drawn.near(pending.position if pending else 3)


def _since(drawn: Drawn) -> int:
    proposals = drawn.world.state.proposals
    return drawn.near(drawn.one(*(found.since for found in proposals.values())) if proposals else 1)


FIELDS: Final[dict[str, Callable[[Drawn], Any]]] = {
    "packet_id": lambda d: d.packet_id,
    "member_id": lambda d: d.member_id,
    "target": lambda d: d.one(*MEMBERS, "nobody"),
    "owner": Drawn.owner,
    "incarnation": _incarnation,
    "epoch": _epoch,
    "handoff": _handoff,
    "proposal": _since,
    "view": Drawn.context_view,
    "context": Drawn.commitment,
    "result": Drawn.commitment,
    "views": lambda _: (),
    "reason": lambda d: d.one("requested", "broken", "drain"),
    "expires_at": Drawn.moment,
    "deadline": Drawn.moment,
    "until": Drawn.moment,
    "suspect_from": lambda d: d.one(0, 5, 10**6),
    "last_seen": lambda d: d.world.now - d.one(0, 30, 90) * 1_000_000,
    "progressed_at": lambda d: d.world.now - d.one(0, 30, 900) * 1_000_000,
    "heard_at": lambda d: d.world.now - d.one(0, 30) * 1_000_000,
    "silent_since": lambda d: d.world.now - 60_000_000,
    "ttl": lambda _: 30_000_000,
    "stretch": lambda d: d.one(0, 10_000_000),
    "settings": Drawn.setting,
    "digest": lambda d: one(d.source, DIGESTS),
    "policies": lambda d: d.one((("fake", "1", "enforce"),), (("fake", "2", "audit"),)),
    "points": lambda d: d.one(("assign", "register", "retain"), (), ("assign",)),
    "leave_uncovered": lambda d: d.one(
        ("accept", "assign", "export", "handoff", "register", "retain"), ("accept",)
    ),
    "gone": lambda d: d.one(("key:rev",), ("local",)),
    "bundle": Drawn.bundle,
    "report": Drawn.report,
    "rollback": lambda d: d.one("ordinary", "emergency"),
    "name": Drawn.publisher,
    "key": lambda d: one(d.source, (*KEYS, *KEYS[:2])),
    "old": lambda d: one(d.source, (*KEYS, *KEYS[:2])),
    "new": lambda d: one(d.source, KEYS),
    "origin": lambda d: d.one(d.world.state.origin, d.world.state.origin, "other.test/x"),
    "signatures": lambda d: tuple((key, "0" * 128) for key in some(d.source, KEYS[:4], 2)),
    "role": lambda d: d.one("issuer", "log", "recovery", "cook"),
    "subject": lambda d: d.one(d.packet_id, d.member_id),
    "commitment": lambda d: d.one("a", "b") * 64,
    "why": lambda d: d.one("retention", "legal_order"),
    "codes": lambda d: d.one(("policy.type",), ("policy.type", "policy.syntax")),
    "errors": lambda d: d.one(1, 2),
    "engine": lambda _: "test",
    "keys": lambda _: (("issuer", "1" * 64), ("log", "2" * 64)),
    "term": lambda d: d.one(1, 2, 3),
    "address": lambda _: "http://one.test",
    "dead": lambda d: tuple(sorted(some(d.source, MEMBERS, 2))),
    "score": lambda d: d.one("0.5", "0.91", "1", "0"),
    "trust_score": lambda d: d.one("0.5", "0.91"),
    "pressure": lambda d: d.one("0", "0.5", "0.85", "0.99", "1"),
    "type": lambda d: d.one("agent", "human"),
    "capabilities": lambda d: hostile.capabilities(d.source)[:3],
    "discovered": lambda d: hostile.capabilities(d.source)[:2],
    "withdrawn": lambda d: d.one(("ocr",), ("nothing",)),
    "capacity": lambda d: d.pairs(("cpu", "memory", "tasks"), "1", "2", "3", "0.5"),
    "demand": lambda d: d.pairs(("cpu", "memory"), "0.5", "1", "2"),
    "region": lambda d: d.one("eu-1", "us-1", "nowhere"),
    "clearances": lambda d: d.one((), ("pii",), ("pci", "pii")),
    "data_classes": lambda d: d.one((), ("pii",), ("pci",)),
    "labels": lambda d: d.pairs(
        ("amount", "employment", "mood", "note", "risk"), "5", "150", "low", "high", "employee"
    ),
    "weight": lambda d: d.one(1, 2, 5),
    "lease_seconds": lambda d: d.one(30, 60),
    "workload_type": lambda d: d.one("work", "work", "hire", "twice", "both", "secret"),
    "lineage_id": lambda d: d.one("l1", "l2"),
    "required_capabilities": lambda d: hostile.requirements(d.source)[:1],
    "constraints": lambda d: c.Constraints(
        pii_review_required=chance(d.source, 30),
        minimum_trust_score=d.one(None, None, "0.7"),
        allowed_regions=d.one(None, None, ("eu-1",), ()),
    ),
    "priority": lambda d: d.one(0, 5, 9),
    "scheduler": lambda d: one(d.source, SCHEDULERS),
    "max_handoffs": lambda d: d.one(0, 1, 3),
    "progress_seconds": lambda d: d.one(60, 600),
    "created_at": Drawn.moment,
    "step": lambda d: d.one("one", "two"),
    "claimed_owner": lambda d: d.member_id,
    "claimed_owners": lambda d: d.one(("m1",), ("m1", "m2")),
    "claimed_status": lambda d: d.one("OWNED", "DONE"),
    "claimed_event": lambda d: "h" * 8,
    "claimed_state_hash": lambda d: "6" * 64,
    "again": lambda d: one(d.source, PACKETS[:20]),
    "scan": lambda d: c.Scan(detectors=("find@1",), classes=d.one((), ("pii",))),
    "note": lambda d: d.one("a note", "another"),
    "version": lambda d: d.near(d.packet.version if d.packet else 0),
    "granted": lambda d: chance(d.source, 70),
    "elsewhere": lambda d: chance(d.source, 50),
    "hold": lambda d: chance(d.source, 30),
    "stays": lambda d: chance(d.source, 50),
    "share_permille": lambda d: d.one(0, 500, 1_000),
    "overdue": lambda d: d.one(0, 2),
    "leased": lambda d: d.one(0, 3),
    "jump": lambda d: d.one(0, 10**7),
    "semantics": lambda _: e.SEMANTICS,
    "predecessor": lambda _: ("other.test/x", 5, "5" * 64),
    "public_key": lambda d: one(d.source, KEYS[:4]),
}
"""A field's name and what it is drawn from, where its type alone does not say."""


def draw(world: World, source: Seeded, kind: type[c.Action]) -> c.Action:
    """Return a command of *kind* that is sensible more often than not."""
    drawn, values = Drawn(world, source, kind), dict[str, Any]()
    for field in msgspec.structs.fields(kind):
        is_wanted = field.required or (kind is c.ReviewPacket and field.name == "version")
        if not is_wanted and not chance(source, 10 if kind is c.SubmitPacket else 25):
            continue
        if field.name == "handoff" and kind in {c.SubmitPacket, c.UpdatePacket}:
            values["handoff"] = c.HandoffTerms(allowed=chance(source, 70))
        elif field.name == "view" and kind is c.CommitCheckpoint:
            values["view"] = drawn.commitment()
        elif field.name in FIELDS:
            values[field.name] = FIELDS[field.name](drawn)
        else:  # a word of a few
            options = [option for option in _words(field.type) if option is not None]
            values[field.name] = one(source, options)
    if (
        kind is c.AcceptHandoff
        and drawn.packet is not None
        and drawn.packet.pending is not None
        and chance(source, 80)
    ):
        pending = drawn.packet.pending
        values.update(member_id=pending.target, incarnation=pending.incarnation)
    return kind(**values)


def _words(hint: Any) -> tuple[str, ...]:
    """Return the words of the Literal in *hint*."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return tuple(word for part in typing.get_args(hint) for word in _words(part))

"""Random logs, validly signed: custody, keys, payloads, hostile names; the same for a seed.

A log is told step by step, each step one that could happen; now and then its operator lies once, in a body
that is signed and linked like any other.  What is asked of a log, and damage to its files, is in
:mod:`conformance.ledger_verify.differential`.
"""

import random
from collections.abc import Callable
from typing import Any

from conformance.ledger_verify.corpus import key_events
from conformance.ledger_verify.corpus.memory_log import START, MemoryLog, signer
from conformance.ledger_verify.corpus.story import Body, activate, decision, genesis

from pfgov_ledger import canonical, checkpoint, errors, keys
from pfgov_ledger.vocabulary import EVENTS

WITNESSES = tuple(signer("witness", f"w.example/{number}") for number in range(3))
ORIGINS = ("log.example/fixture-1", "!", "~'<>&;%", "a" * 240, "constructor", "{}[]:,#-*")
IDS = (
    "a",
    "B.c",
    "x:y@z~-_",
    "constructor",
    "0",
    "__proto__".strip("_") + "__",
    "Z" * 128,
    "toString",
    "a-b",
    "p1",
    "p2",
    "p3",
)
NAMES = (
    "", "a", "\u00e9", "e\u0301", "\uffdc", "\U0001d4ab", "\U0010fffd", "\u202eevil", "\x1b[2J", "\x7f", "\u2028",
    "constructor", "\ufeff", '"', "\\", "\n", "zone", "A", "\ud7ff", "\ue000",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53 - 1, -(2**53 - 1), "", "x", "0", [], {}, ["a"], {"a": 1}, "\u202e", "a" * 300,
    {"digest": "00" * 32, "size": 256}, [["b", 1], ["a", 2]], [["a", 1]], {"member_id": "a", "incarnation": 1},
)  # fmt: skip
JUDGED = frozenset({
    "cause", "epoch", "incarnation", "outcome", "owner", "source", "target", "signatures", "role", "old", "new", "key",
    "suspect_from", "commitment", "why", "digest", "root", "size", "subjects", "keys", "origin",
})  # fmt: skip
"""What a verifier reads of bodies."""


class Teller:
    """Tells one log."""

    def __init__(self, seed: int) -> None:
        self.chosen = random.Random(seed)
        pick = self.chosen
        self.log = MemoryLog(pick.choice(ORIGINS))
        self.first_log_key = self.log.log_key
        self.members: dict[str, tuple[int, bool]] = {}
        self.packets: dict[str, dict[str, Any]] = {}
        self.policy = ""
        self.named: list[tuple[str, str]] = []
        self.keys = 0
        self.is_honest = False
        self.lie_at = pick.randrange(4, 30) if pick.random() < 0.6 else None
        self.remembered: list[bytes] = []

    def tell(self) -> MemoryLog:
        """The whole log; its last entry is most often an index."""
        log, pick = self.log, self.chosen
        genesis(log, **self._first())
        self.policy = activate(log, self._content())
        log.commit()
        for _ in range(pick.randrange(1, 4)):
            self._register()
        steps: list[tuple[int, Callable[[], None]]] = [
            (3, self._register), (4, self._create), (14, self._act), (3, self._member), (2, self._keys),
            (2, self._erase),
            (1, self._activate), (2, self._other), (2, self._commit), (1, self._index),
        ]  # fmt: skip
        weights = [weight for weight, _ in steps]
        for _ in range(pick.randrange(0, 34)):
            pick.choices([step for _, step in steps], weights)[0]()
            if self.lie_at is not None and len(log.rows) >= self.lie_at:
                self._lie()
                self.lie_at = None
        if pick.random() < 0.9:
            log.commit_index()
        else:
            log.commit()
        return log

    def _first(self) -> dict[str, Any]:
        """What genesis says besides; in a lying log perhaps what it must not."""
        pick, log = self.chosen, self.log
        if self.lie_at is None or pick.random() < 0.8:
            return {"extra": self._map()} if pick.random() < 0.2 else {}
        listed = [
            {"public": key.public.hex(), "role": key.role}
            for key in (log.log_key, log.issuer, log.recovery)
        ]
        match pick.randrange(4):
            case 0:
                return {"origin": pick.choice(ODD)}
            case 1:
                return {
                    "keys": pick.choice(
                        (*ODD, [*listed, listed[0]], listed[:1], [{"public": "00", "role": "log"}])
                    )
                }
            case 2:
                listed[pick.randrange(3)]["role"] = pick.choice(
                    ("log", "issuer", "member", "x" * 50)
                )
                return {"keys": listed}
            case _:
                listed[pick.randrange(3)][pick.choice(("public", "role"))] = pick.choice(ODD)
                return {"keys": listed}

    # --- steps -----------------------------------------------------------------------------

    def _commit(self) -> None:
        self.remembered.append(self.log.commit())

    def _index(self) -> None:
        self.log.commit_index()
        self.remembered.append(self.log.latest_checkpoint())

    def _content(self) -> bytes:
        size = self.chosen.choice((0, 1, 200, 70_000 if self.chosen.random() < 0.1 else 2))
        return self.chosen.randbytes(size)

    def _map(self) -> list[Any]:
        names = self.chosen.sample(NAMES, self.chosen.randrange(0, 5))
        return [
            [name, self.chosen.choice(("1", "x", *NAMES))] for name in sorted(names, key=str.encode)
        ]

    def _register(self) -> None:
        member = self.chosen.choice(IDS)
        life, is_alive = self.members.get(member, (0, False))
        if is_alive:
            return
        self.members[member] = life + self.chosen.randrange(1, 3), True
        self.log.add("member_registered", f"member/{member}", {
            "capacity": self._map(), "incarnation": self.members[member][0], "kind": "agent", "labels": self._map(),
            "member_id": member, "policy": self.policy, "principal": self.chosen.choice(NAMES),
        })  # fmt: skip

    def _member(self) -> None:
        if not self.members:
            return
        member = self.chosen.choice(sorted(self.members))
        life, is_alive = self.members[member]
        event = self.chosen.choice(
            (
                "member_failed",
                "member_recovered",
                "member_retired",
                "trust_assessed",
                "member_updated",
            )
        )
        body: Body = {"incarnation": life, "member_id": member}
        if event == "member_recovered":
            life += int(not is_alive or self.chosen.random() < 0.3)
            body["incarnation"] = life
            self.members[member] = life, True
        elif event in {"member_failed", "member_retired"}:
            self.members[member] = life, False
        elif event == "member_updated":
            body["labels"] = self._map()
        self.log.add(event, f"member/{member}", body)

    def _create(self) -> None:
        packet = self.chosen.choice(IDS)
        if packet in self.packets:
            return
        self.packets[packet] = {"status": "pending", "epoch": 0, "owner": None, "target": None}
        body: Body = {"created_at": START, "demand": self._map(), "packet_id": packet}
        if self.chosen.random() < 0.6:
            body["context"] = self._payload(packet, "context")
        self.log.add("packet_created", f"packet/{packet}", body)

    def _payload(self, packet: str, field: str) -> Body:
        subject = f"packet/{packet}"
        made = self.log.commitment(subject, field, self._content())
        digest = str(made["digest"])
        fate = self.chosen.random()
        if fate < 0.3:
            del self.log.payloads[digest]
        elif fate < 0.4:
            self.log.payloads[digest] = (bytes(32), b"changed where it was kept")
        self.named.append((digest, subject))
        return made

    def _owner(self) -> Body | None:
        alive = [
            (name, life) for name, (life, is_alive) in sorted(self.members.items()) if is_alive
        ]
        if not alive:
            return None
        name, life = self.chosen.choice(alive)
        return {"incarnation": life, "member_id": name}

    def _act(self) -> None:
        """One thing that may happen to a packet."""
        going = [name for name, known in sorted(self.packets.items()) if known["status"] != "ended"]
        if not going:
            return
        name = self.chosen.choice(going)
        known = self.packets[name]
        if known["status"] == "pending":
            self._assign(name, known)
        elif known["status"] == "owned":
            self._owned(name, known)
        else:
            self._moving(name, known)

    def _add(self, name: str, event: str, **body: Any) -> None:
        self.log.add(event, f"packet/{name}", {"packet_id": name, **body})

    def _assign(self, name: str, known: Body) -> None:
        to = self._owner()
        if to is None or self.chosen.random() < 0.2:
            self._add(name, "assignment_decision", outcome="no_candidate", epoch=known["epoch"])
        elif self.chosen.random() < 0.1:
            cause = self.chosen.choice(("owner", "deadline"))
            self._add(name, "packet_cancelled", cause=cause, epoch=known["epoch"])
            known["status"] = "ended"
        else:
            known.update(status="owned", epoch=known["epoch"] + 1, owner=to)
            self._add(name, "assignment_decision", outcome="allowed", owner=to, epoch=known["epoch"],
                      decision=decision("assign", self.policy))  # fmt: skip

    def _owned(self, name: str, known: Body) -> None:
        epoch, holder = known["epoch"], known["owner"]
        match self.chosen.randrange(7):
            case 0:
                self._add(
                    name,
                    "checkpoint_committed",
                    epoch=epoch,
                    owner=holder,
                    context=self._payload(name, "context"),
                )
            case 1 | 2:
                target = self._owner() or {"incarnation": 1, "member_id": "nobody"}
                known.update(status="moving", target=target)
                self._add(
                    name,
                    "handoff_started",
                    source=holder,
                    target=target,
                    epoch=epoch,
                    view=self._payload(name, "view"),
                )
            case 3:
                known.update(status="pending", epoch=epoch + 1, owner=None)
                event = self.chosen.choice(("ownership_revoked", "packet_requeued"))
                self._add(name, event, owner=holder, epoch=epoch + 1)
            case 4:
                event = self.chosen.choice(("handoff_denied", "handoff_escalated"))
                self._add(name, event, source=holder, epoch=epoch)
            case 5:
                known["status"] = "ended"
                event = self.chosen.choice(
                    ("packet_completed", "packet_failed", "packet_cancelled")
                )
                extra = (
                    {}
                    if event == "packet_completed"
                    else {"cause": self.chosen.choice(("owner", "admin"))}
                )
                self._add(name, event, owner=holder, epoch=epoch, **extra)
            case _:
                self._add(name, "write_refused", member_id="a", epoch=epoch, claimed_epoch=0)

    def _moving(self, name: str, known: Body) -> None:
        epoch, holder, target = known["epoch"], known["owner"], known["target"]
        life = self.members.get(target["member_id"])
        if life == (target["incarnation"], True) and self.chosen.random() < 0.6:
            known.update(status="owned", epoch=epoch + 1, owner=target, target=None)
            self._add(name, "handoff_completed", source=holder, owner=target, epoch=epoch + 1)
        else:
            known.update(status="owned", target=None)
            self._add(name, "handoff_aborted", source=holder, target=target, epoch=epoch)

    def _keys(self) -> None:
        """A rotation or a revocation that is allowed."""
        log, pick = self.log, self.chosen
        self.keys += 1
        role = pick.choice(("issuer", "issuer", "log", "recovery"))
        fresh = signer(role, log.origin if role == "log" else f"{log.origin}/{role}-{self.keys}")
        if role == "log":
            fresh = keys.SeedSigner(role="log", name=log.origin, seed=bytes([self.keys]) * 32)
        old = {"issuer": log.issuer, "log": log.log_key, "recovery": log.recovery}[role]
        if pick.random() < 0.6:
            key_events.rotate(log, role, old, fresh, [old, fresh])
            if role == "recovery":
                log.recovery = fresh
            else:
                self._sign_with(role, fresh)
        else:
            key_events.rotate(log, role, None, fresh, [log.recovery, fresh])
            if role != "recovery" and pick.random() < 0.7:
                at = len(log.rows)
                self._sign_with(role, fresh)
                suspect = pick.choice((None, 0, pick.randrange(at)))
                key_events.revoke(log, role, old.public, [log.recovery], suspect)

    def _sign_with(self, role: str, fresh: keys.SeedSigner) -> None:
        if role == "issuer":
            self.log.sign_with(fresh)
        else:
            self.log.sign_with(self.log.issuer, fresh)

    def _erase(self) -> None:
        if not self.named:
            return
        digest, subject = self.chosen.choice(self.named)
        if self.is_honest or self.chosen.random() < 0.85:
            self.log.payloads.pop(digest, None)
        why = self.chosen.choice(("data_subject_request", "retention", *NAMES))
        body: Body = {"commitment": digest, "subject": subject, "why": why}
        self.log.add("attachment_erased", subject, body)

    def _activate(self) -> None:
        self.policy = activate(self.log, self._content(), self.policy)

    def _other(self) -> None:
        event = self.chosen.choice(("configuration_changed", "engine_upgraded", "expiry_halted"))
        body: Body = {
            "settings": self._map(),
            "note": self.chosen.choice(NAMES),
            "list": [1, -5, [], {}, None, True],
        }
        self.log.add(event, "ledger", body)

    # --- lies ------------------------------------------------------------------------------

    def _lie(self) -> None:
        """Once more what was said before, with one value that cannot be; or something out of turn."""
        log, pick = self.log, self.chosen
        if pick.random() < 0.25:
            self._unauthorised()
            return
        told: list[Any] = [canonical.decode(row.raw) for row in log.rows[1:]]
        governed = [one for one in told if EVENTS[one["type"]] in {"packet", "member", "keys"}]
        members = pick.choice(governed if governed and pick.random() < 0.8 else told)
        body: dict[str, Any] = members["body"]
        kept = f"{members['subject'].partition('/')[0]}_id"
        names = [name for name in body if name != kept] or [kept]
        judged = [name for name in names if name in JUDGED]
        for _ in range(pick.randrange(0, 3)):
            name = pick.choice(judged if judged and pick.random() < 0.8 else names)
            value = body[name]
            if isinstance(value, dict) and value and pick.random() < 0.7:
                inner = pick.choice(sorted(value))
                value[inner] = pick.choice((*ODD, *IDS, 1, 2))
            elif isinstance(value, int) and pick.random() < 0.8:
                body[name] = value + pick.choice((-1, 1, 2))
            elif name in {"owner", "source", "target"} and pick.random() < 0.7:
                body[name] = {"incarnation": pick.choice((1, 2)), "member_id": pick.choice(IDS)}
            else:
                body[name] = pick.choice(ODD)
        event = members["type"]
        if pick.random() < 0.3:
            event = pick.choice([name for name in EVENTS if EVENTS[name] == EVENTS[event]])
        try:
            log.add(event, members["subject"], body)
        except errors.LedgerError:  # the writer itself refuses some lies
            self._other()

    def _unauthorised(self) -> None:
        """A rotation or a revocation that lacks a signature, names another role, or brings in a key that is known."""
        log, pick = self.log, self.chosen
        known = [
            log.issuer,
            log.log_key,
            log.recovery,
            signer("issuer", "nobody/1"),
            signer("log", "nobody/2"),
        ]
        signers = pick.sample(known, pick.randrange(0, 4))
        role = pick.choice(("issuer", "log", "recovery", "member", "witness", ""))
        if pick.random() < 0.4:
            at = pick.choice((None, 0, 5))
            key_events.revoke(log, role, pick.choice(known).public, signers, at)
        else:
            new, old = pick.choice(known), pick.choice((None, *known))
            weak = pick.choice((None, None, (1).to_bytes(32, "little")))
            key_events.rotate(log, role, old, new, signers, public=weak)

    # --- afterwards ------------------------------------------------------------------------

    def cosigned(self, raw: bytes) -> tuple[bytes, int]:
        """A checkpoint with some cosignatures, and the time of one of them."""
        times = [1_782_331_200 + self.chosen.randrange(-1000, 100_000) for _ in range(3)]
        for time in times[: self.chosen.randrange(0, 4)]:
            raw = checkpoint.cosign(raw, self.chosen.choice(WITNESSES), time=time)
        return raw, times[0]

"""What each step of a history does: one small function a step, in one table.

Each reads its draws modulo what there is, so that it always means something, and sends what the step says through the
same doors as everybody: commands to the engine, messages to the network.  Nothing is checked here; the history is.
"""

import random
from collections.abc import Callable
from typing import Final, Literal

from pfgov.core import commands as c
from pfgov.core.lifecycle import MemberStatus
from pfgov.sim import names
from pfgov.sim.members import SimMember
from pfgov.sim.steps import DRAW, Step
from pfgov.sim.world import SECOND, Fault, World

SCORES: Final = ("0.45", "0.55", "0.75", "0.95")


def drawn(step: Step) -> random.Random:
    """Return a source of names and collections for *step*: equal steps draw equally."""
    return random.Random(step.b * DRAW + step.c)


# --- members ----------------------------------------------------------


def register(sim: World, step: Step) -> None:
    """Join, or come back."""
    member, source = sim.member(step.a), drawn(step)
    sim.submit(
        c.RegisterMember(
            member_id=member.member_id,
            type="agent",
            capabilities=names.skills(source, 1, 5),
            capacity=names.capacity(source),
            region=source.choice((*names.REGIONS, None)),
            clearances=names.some(source, names.CLASSES, 0, 4),
            labels=names.labels(source),
            trust_score=SCORES[step.c % len(SCORES)],
            lease_seconds=10 + step.c % 20,
            handoff_mode="accept" if step.b % 2 else "auto",
        )
    )
    member.restart()


def recover(sim: World, step: Step) -> None:
    """A failed member is back."""
    sim.submit(c.RecoverMember(member_id=sim.member(step.a).member_id))


def fail(sim: World, step: Step) -> None:
    """Hold a member for dead."""
    sim.submit(c.FailMember(member_id=sim.member(step.a).member_id))


def drain(sim: World, step: Step) -> None:
    """A member is to leave."""
    deadline = sim.clock.now() + (1 + step.b % 60) * SECOND if step.b % 2 else None
    mode: Literal["stop_first", "start_first"] = "stop_first" if step.c % 4 == 0 else "start_first"
    sim.submit(c.DrainMember(member_id=sim.member(step.a).member_id, deadline=deadline, mode=mode))


def cancel_drain(sim: World, step: Step) -> None:
    """It stays."""
    sim.submit(c.CancelDrain(member_id=sim.member(step.a).member_id))


def retire(sim: World, step: Step) -> None:
    """It goes."""
    sim.submit(c.RetireMember(member_id=sim.member(step.a).member_id))


def quarantine(sim: World, step: Step) -> None:
    """No new work for it."""
    until = sim.clock.now() + (1 + step.b % 90) * SECOND if step.b % 2 else None
    sim.submit(c.QuarantineMember(member_id=sim.member(step.a).member_id, until=until))


def release(sim: World, step: Step) -> None:
    """Work again."""
    sim.submit(c.ReleaseMember(member_id=sim.member(step.a).member_id))


def trust(sim: World, step: Step) -> None:
    """Somebody assesses it."""
    expires = sim.clock.now() + (1 + step.c % 60) * SECOND if step.c % 2 else None
    score = SCORES[step.b % len(SCORES)]
    sim.submit(
        c.AssessTrust(member_id=sim.member(step.a).member_id, score=score, expires_at=expires)
    )


def change(sim: World, step: Step) -> None:
    """Its capabilities, region or capacity change."""
    member_id, source = sim.member(step.a).member_id, drawn(step)
    kind = step.c % 4
    if kind == 0:
        change = c.UpdateMember(
            member_id=member_id, withdrawn=names.some(source, names.SKILLS, 1, 2)
        )
    elif kind == 1:
        change = c.UpdateMember(
            member_id=member_id,
            discovered=names.skills(source, 1, 3),
            clearances=names.some(source, names.CLASSES, 0, 4),
        )
    elif kind == 2:
        change = c.UpdateMember(member_id=member_id, region=source.choice(names.REGIONS))
    else:
        change = c.UpdateMember(member_id=member_id, capacity=names.capacity(source))
    sim.submit(change)


def pressure(sim: World, step: Step) -> None:
    """It says how loaded it is."""
    pressure = ("0.1", "0.5", "0.8", "0.97")[step.b % 4]
    sim.submit(c.ReportPressure(member_id=sim.member(step.a).member_id, pressure=pressure))


# --- packets ----------------------------------------------------------


def submit(sim: World, step: Step) -> None:
    """A new packet."""
    if sim.submitted >= sim.plan.packets:
        return
    packet_id, source = names.packet_id(sim.submitted), drawn(step)
    sim.submitted += 1
    payload = sim.engine.attach(f"packet/{packet_id}", "context", b'{"step":"start"}')
    action = c.SubmitPacket(
        packet_id=packet_id,
        workload_type=("triage", "report")[step.b % 2],
        lineage_id=f"lin-{packet_id}",
        required_capabilities=tuple(
            skill + (">=1.2" if source.randrange(5) == 0 else "")
            for skill in names.some(source, names.SKILLS, 0, 2)
        ),
        constraints=c.Constraints(
            pii_review_required=step.a % 7 == 0,
            minimum_trust_score=(None, "0.5", "0.7", "0.9")[step.c % 4],
            allowed_regions=None
            if step.b % 2
            else names.some(source, ("us-east", "eu", "us-east-1"), 1, 3),
        ),
        handoff=c.HandoffTerms(allowed=step.a % 9 != 0),
        demand=names.demand(source),
        data_classes=() if step.a % 2 else names.some(source, names.CLASSES, 0, 3),
        priority=step.c % 10,
        labels=names.labels(source),
        deadline=sim.clock.now() + (30 + step.a % 300) * SECOND if step.a % 6 == 0 else None,
        max_handoffs=step.c % 4 if step.c % 5 == 0 else None,
        hold=step.a % 11 == 0,
        context=payload.commitment,
    )
    receipt = sim.engine.submit(action, principal=c.LOCAL_OPERATOR, attachments=(payload,))
    for row in receipt.entries:
        sim.receipts.leaves[row.seq] = row.leaf


def place(sim: World, step: Step) -> None:
    """Find an owner."""
    target = sim.member(step.b).member_id if step.c % 3 == 0 else None
    sim.submit(c.PlacePacket(packet_id=sim.packet_id(step.a), target=target))


def hand_off(sim: World, step: Step) -> None:
    """Move a packet."""
    target = sim.member(step.b).member_id if step.c % 3 == 0 else None
    sim.submit(c.HandOff(packet_id=sim.packet_id(step.a), target=target))


def requeue(sim: World, step: Step) -> None:
    """An operator takes a packet back."""
    sim.submit(c.RequeuePacket(packet_id=sim.packet_id(step.a)))


def cancel(sim: World, step: Step) -> None:
    """Call a packet off."""
    sim.submit(c.CancelPacket(packet_id=sim.packet_id(step.a)))


def narrow(sim: World, step: Step) -> None:
    """A packet demands more."""
    source = drawn(step)
    change = c.UpdatePacket(
        packet_id=sim.packet_id(step.a),
        data_classes=names.some(source, names.CLASSES, 1, 4) if step.b % 3 == 0 else None,
        labels=names.labels(source) if step.b % 2 else None,
        constraints=c.Constraints(minimum_trust_score="0.9", allowed_regions=("us-east",))
        if step.b % 3 == 1
        else None,
        hold=bool(step.c % 2),
    )
    sim.submit(change)


def review(sim: World, step: Step) -> None:
    """Somebody reviews."""
    waiting = sim.engine.look(
        lambda state: sorted(p.packet_id for p in state.packets.values() if p.request is not None)
    )
    if waiting:
        packet_id = waiting[step.a % len(waiting)]
        version = sim.engine.look(lambda state: state.packets[packet_id].version)
        granted = step.b % 4 != 0
        # Now and then somebody reviews what it looked at too long ago.
        sim.submit(
            c.ReviewPacket(
                packet_id=packet_id, granted=granted, version=version - (step.b % 7 == 0)
            )
        )


# --- what members do ----------------------------------------------------------


def heartbeat(sim: World, step: Step) -> None:
    """A member says that it lives."""
    member = sim.member(step.a)
    if member.is_running and not member.is_dead and member.incarnation:
        heard = sim.engine.heartbeat(
            member.member_id, member.incarnation, tuple(sorted(member.held.items()))
        )
        member.lose(heard.lost)


def learn(sim: World, step: Step) -> None:
    """A member reads what it owns."""
    member = sim.member(step.a)
    if not member.is_running or member.is_dead:
        return
    known = {m.member_id: m for m in sim.engine.reader.members()}
    record = known.get(member.member_id)
    if record is None:
        return
    owned = {
        packet.packet_id: packet.epoch
        for packet in sim.engine.reader.packets()
        if packet.owner == member.member_id and packet.incarnation == record.incarnation
    }
    member.learn(record.incarnation, owned)


def work(sim: World, step: Step) -> None:
    """A member works on what it believes to own."""
    member = sim.member(step.a)
    if not member.is_running or member.is_dead or not member.held:
        return
    packet_id = sorted(member.held)[step.b % len(member.held)]
    claim = member.claim(packet_id)
    kind = step.c % 10
    if kind < 5:
        payload = sim.engine.attach(f"packet/{packet_id}", "context", b'{"n":%d}' % step.c)
        save = c.CommitCheckpoint(
            packet_id=packet_id,
            owner=claim,
            step=f"step-{step.c % 100}",
            context=payload.commitment,
        )
        principal = c.Principal(id=member.member_id, rights=(f"member:{member.member_id}",))
        sim.engine.submit(save, principal=principal, attachments=(payload,))
    elif kind < 8:
        sim.send(c.CompletePacket(packet_id=packet_id, owner=claim), member, step.b)
    elif kind == 8:
        sim.send(c.FailPacket(packet_id=packet_id, owner=claim, reason="broken"), member, step.b)
    else:
        sim.send(c.RequeuePacket(packet_id=packet_id, owner=claim), member, step.b)


def _pending_for(sim: World, member: SimMember) -> list[tuple[str, int, str | None]]:
    return sim.engine.look(
        lambda state: sorted(
            (
                p.packet_id,
                p.pending.position,
                (p.pending.view or p.pending.context or _NONE).digest or None,
            )
            for p in state.packets.values()
            if p.pending is not None and p.pending.target == member.member_id
        )
    )


def accept(sim: World, step: Step) -> None:
    """The target of a handoff takes over."""
    member = sim.member(step.a)
    offers = _pending_for(sim, member)
    if member.is_running and not member.is_dead and offers:
        packet_id, position, view = offers[step.b % len(offers)]
        accept = c.AcceptHandoff(
            packet_id=packet_id,
            member_id=member.member_id,
            incarnation=max(member.incarnation, 1),
            handoff=position,
            view=view,
        )
        sim.send(accept, member, step.c)


def abort(sim: World, step: Step) -> None:
    """The target of a handoff refuses."""
    member = sim.member(step.a)
    offers = _pending_for(sim, member)
    if offers:
        offered = offers[step.b % len(offers)][0]
        held = sim.engine.reader.packet(offered)
        refuse = c.AbortHandoff(
            packet_id=offered,
            owner=c.OwnerClaim(
                member_id=member.member_id,
                incarnation=max(member.incarnation, 1),
                epoch=held.epoch,
            ),
        )
        sim.send(refuse, member, step.c)


def pause(sim: World, step: Step) -> None:
    """A process stops for a while."""
    sim.member(step.a).is_running = False


def resume(sim: World, step: Step) -> None:
    """It goes on with its old beliefs."""
    sim.member(step.a).is_running = True


def kill(sim: World, step: Step) -> None:
    """A process dies."""
    sim.member(step.a).is_dead = True


def restart(sim: World, step: Step) -> None:
    """It begins again, knowing nothing."""
    member = sim.member(step.a)
    if member.is_dead:
        member.restart()
        status = sim.engine.look(lambda state: _status(state.members.get(member.member_id)))
        if status is MemberStatus.FAILED:
            sim.submit(c.RecoverMember(member_id=member.member_id))


# --- the network ----------------------------------------------------------


def deliver(sim: World, step: Step) -> None:
    """A message arrives, out of order."""
    if sim.network:
        sim.arrive(*sim.network.pop(step.a % len(sim.network)))


def drop(sim: World, step: Step) -> None:
    """A message is lost."""
    if sim.network:
        sim.network.pop(step.a % len(sim.network))


def repeat(sim: World, step: Step) -> None:
    """A message arrives and will arrive again."""
    if sim.network:
        sim.arrive(*sim.network[step.a % len(sim.network)])


# --- time and the engine ----------------------------------------------------------


def advance(sim: World, step: Step) -> None:
    """Time passes."""
    sim.clock.advance(step.a % (8 * SECOND))


def tick(sim: World, _: Step) -> None:
    """What is due happens."""
    sim.engine.tick()


def late_tick(sim: World, step: Step) -> None:
    """A tick comes late."""
    lag = step.a % (30 * SECOND)
    sim.clock.advance(lag)
    sim.engine.tick(lag=lag)


def skew(sim: World, step: Step) -> None:
    """The wall clock is set, either way."""
    sim.clock.step(step.a % (20 * SECOND) - 10 * SECOND if step.b % 4 else 400 * SECOND)


LEAP: Final = 10 * 365 * 86_400 * SECOND
"""Ten years, by which somebody sets a clock wrong."""


def leap(sim: World, _: Step) -> None:
    """Somebody sets the clock wrong by years, or right again."""
    if sim.leap:
        sim.set_clock_right()
    else:
        sim.leap = LEAP
        sim.clock.step(LEAP)


def resume_expiry(sim: World, step: Step) -> None:
    """Somebody looked: leases may end again, and those of the dead do."""
    kind = step.b % 3
    dead = (sim.member(step.a).member_id,) if kind == 1 else ()
    sim.engine.resume(dead=dead, share_permille=600 if kind == 2 else None)


def policy(sim: World, step: Step) -> None:
    """Another policy set becomes binding."""
    sets = sim.policies()
    sim.engine.activate(sets[step.a % len(sets)], principal=c.LOCAL_OPERATOR)


def storage_fault(sim: World, step: Step) -> None:
    """A storage call is going to fail."""
    sim.fault = Fault(1 + step.a % 12, "after" if step.b % 2 else "before", kill=False)


def disk_full(sim: World, step: Step) -> None:
    """The disk is going to be full."""
    sim.fault = Fault(1 + step.a % 12, "before", kill=False, full=True)


def reload(sim: World, _: Step) -> None:
    """The engine is closed and opened again: what it had in memory is what it loads."""
    sim.reload()


def crash(sim: World, step: Step) -> None:
    """The engine is killed: now, or in the middle of a storage call."""
    if step.c % 3 == 0:
        sim.reopen()
    else:
        sim.fault = Fault(1 + step.a % 12, "after" if step.b % 2 else "before", kill=True)


_NONE: Final = c.Commitment(digest="", size=0)


def _status(member: object) -> MemberStatus | None:
    return getattr(member, "status", None)


ACTS: Final[dict[str, Callable[[World, Step], None]]] = {
    "register": register,
    "recover": recover,
    "fail": fail,
    "drain": drain,
    "cancel_drain": cancel_drain,
    "retire": retire,
    "quarantine": quarantine,
    "release": release,
    "trust": trust,
    "change": change,
    "pressure": pressure,
    "submit": submit,
    "place": place,
    "hand_off": hand_off,
    "requeue": requeue,
    "cancel": cancel,
    "narrow": narrow,
    "review": review,
    "heartbeat": heartbeat,
    "learn": learn,
    "work": work,
    "accept": accept,
    "abort": abort,
    "pause": pause,
    "resume": resume,
    "kill": kill,
    "restart": restart,
    "deliver": deliver,
    "drop": drop,
    "repeat": repeat,
    "advance": advance,
    "tick": tick,
    "late_tick": late_tick,
    "skew": skew,
    "resume_expiry": resume_expiry,
    "policy": policy,
    "storage_fault": storage_fault,
    "disk_full": disk_full,
    "reload": reload,
    "leap": leap,
    "crash": crash,
}
"""Every step of a history and what it does."""

"""What policy denies at a guarding point is on record: once, bounded, and with nothing else of what was asked."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from support import policy_kit as kit
from support.ledgers import (
    OPERATOR,
    SECOND,
    START,
    claim,
    fresh,
    open_policy,
    opened,
    packet,
    register,
    submit,
    verified,
)

from pfgov.app.visibility import may_see
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.guarding import PolicyDeniedError
from pfgov.core.verdicts import GUARDING, Point
from pfgov.engine import Engine, PolicyDocument
from pfgov.engine.maintenance import doctor
from pfgov.errors import InvalidError, PfgovError
from pfgov.limits import DENIALS_PER_HOUR_MAX, DENIALS_REMEMBERED_MAX
from pfgov.policy import PolicySet
from pfgov.storage import open_store
from pfgov_ledger.verdicts import INTEGRITY, Status

HOUR: Final = 3_600 * SECOND
OPEN: Final = '  - {id: open, on: [register, place, retain], require: member.id != "nobody"}\n'


@cache
def never(point: str, version: str = "1") -> PolicySet:
    """Return a set that allows everything but what is asked at *point* by anybody who has a name."""
    rules = OPEN + f'  - {{id: never-{version}, on: [{point}], deny: principal.id != "nobody"}}\n'
    with TemporaryDirectory() as folder:
        return kit.load(Path(folder), kit.policy(rules, on=f"[register, place, retain, {point}]"))


def prepare(engine: Engine, point: str) -> None:
    """Make what *point* is about, then let nothing through there."""
    register(engine, "m1")
    submit(engine, packet("p1"))
    reviewed = c.Constraints(pii_review_required=True)
    submit(engine, packet("r1", constraints=reviewed, hold=True))
    submit(engine, c.PlacePacket(packet_id="r1"))
    engine.activate(never(point), principal=OPERATOR)


Act = Callable[[Engine, c.Principal], object]
ACTS: Final[dict[str, tuple[Act, str]]] = {
    "submit": (lambda one, who: one.submit(packet("p9"), principal=who), "packet/p9"),
    "update": (
        lambda one, who: one.submit(c.UpdatePacket(packet_id="p1", priority=5), principal=who),
        "packet/p1",
    ),
    "update_member": (
        lambda one, who: one.submit(c.UpdateMember(member_id="m1", weight=3), principal=who),
        "member/m1",
    ),
    "review": (
        lambda one, who: one.submit(
            c.ReviewPacket(packet_id="r1", granted=True, version=one.reader.packet("r1").version), principal=who
        ),
        "packet/r1",
    ),
    "complete": (
        lambda one, who: one.submit(c.CompletePacket(packet_id="p1", owner=claim(one, "p1")), principal=who),
        "packet/p1",
    ),
    "activate": (lambda one, who: one.activate(open_policy(), principal=who), "policy"),
}  # fmt: skip


def denials(engine: Engine) -> list[e.PolicyDenied]:
    """Return the denials on record."""
    every = (recorded.event for recorded in engine.reader.entries())
    return [event for event in every if isinstance(event, e.PolicyDenied)]


def test_every_guarding_point_has_a_row() -> None:
    """A guarding point is added, and its denials leave no trace; only reading leaves none."""
    assert {*ACTS, "export"} == set(GUARDING)


@pytest.mark.parametrize("point", sorted(ACTS))
def test_a_denial_is_on_record_once_and_replays(tmp_path: Path, point: str) -> None:
    """Somebody tried, and nobody can show it; or the ledger says it a thousand times; or cannot be run again."""
    act, about = ACTS[point]
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        prepare(engine, point)
        with pytest.raises(PolicyDeniedError) as caught:
            act(engine, OPERATOR)
        (found,) = denials(engine)
        assert (found.principal, found.point, found.about) == (OPERATOR.id, point, about)
        assert found.policy == never(point).digest
        assert found.reasons == ("placement/never-1",)
        assert caught.value.receipt is not None
        assert not may_see(c.Principal(id="key:m", rights=("member:m1",)), found)
        size = engine.status().size
        for _ in range(3):
            with pytest.raises(PolicyDeniedError):
                act(engine, OPERATOR)
        assert engine.status().size == size
        engine.reader.replay()
    with opened(directory, seed="again") as engine:  # what is on record is known after a restart
        with pytest.raises(PolicyDeniedError):
            act(engine, OPERATOR)
        assert engine.status().size == size
        engine.reader.replay()


def test_others_another_reason_and_another_thing_are_denials_of_their_own(tmp_path: Path) -> None:
    """The first denial hides those of everybody else, or those under the next set."""
    other = c.Principal(id="key:Other", rights=("operator",))
    with opened(fresh(tmp_path)) as engine:
        prepare(engine, "submit")
        for who, name in ((OPERATOR, "p8"), (other, "p8"), (OPERATOR, "P8")):
            with pytest.raises(PolicyDeniedError):
                engine.submit(packet(name), principal=who)
        engine.activate(never("submit", "2"), principal=OPERATOR)
        with pytest.raises(PolicyDeniedError):
            engine.submit(packet("p8"), principal=OPERATOR)
        said = [(one.principal, one.about, one.reasons) for one in denials(engine)]
        assert said == [
            ("local", "packet/p8", ("placement/never-1",)),
            ("key:Other", "packet/p8", ("placement/never-1",)),
            ("local", "packet/P8", ("placement/never-1",)),
            ("local", "packet/p8", ("placement/never-2",)),
        ]
        engine.reader.replay()


def test_a_ledger_cannot_be_filled_with_denials(tmp_path: Path) -> None:
    """Fresh ids make each denial another one: of one principal so many in an hour are recorded, and refused are all."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        prepare(engine, "submit")
        for number in range(DENIALS_PER_HOUR_MAX + 20):
            with pytest.raises(PolicyDeniedError):
                engine.submit(packet(f"x{number}"), principal=OPERATOR)
        assert len(denials(engine)) == DENIALS_PER_HOUR_MAX
        other = c.Principal(id="key:Other", rights=("submitter",))
        with pytest.raises(PolicyDeniedError):
            engine.submit(packet("y"), principal=other)
        assert len(denials(engine)) == DENIALS_PER_HOUR_MAX + 1
        clock.advance(HOUR + SECOND)
        with pytest.raises(PolicyDeniedError):
            engine.submit(packet("z"), principal=OPERATOR)
        assert len(denials(engine)) == DENIALS_PER_HOUR_MAX + 2
        assert len(engine.look(lambda state: state.denials)) <= DENIALS_REMEMBERED_MAX
        engine.reader.replay()


def test_nothing_of_a_denied_submission_is_kept(tmp_path: Path) -> None:
    """The context of a packet that was not let in lies in the database for ever."""
    with opened(fresh(tmp_path)) as engine:
        prepare(engine, "submit")
        attached = engine.attach("packet/p9", "context", b'{"secret": 1}')
        asked = packet("p9", context=attached.commitment)
        with pytest.raises(PolicyDeniedError):
            engine.submit(asked, principal=OPERATOR, attachments=(attached,))
        assert len(denials(engine)) == 1
        with engine.reader.snapshot() as queries:
            assert queries.attachment(attached.commitment.digest) is None
        assert "p9" not in engine.look(lambda state: set(state.packets))


def test_a_dry_run_says_that_it_is_denied_and_records_nothing(tmp_path: Path) -> None:
    """Whoever asks who could take a packet is told that nobody could, and not that it would not be let in."""
    with opened(fresh(tmp_path)) as engine:
        prepare(engine, "submit")
        size = engine.status().size
        with pytest.raises(PolicyDeniedError):
            engine.dry_run(packet("p9"), principal=OPERATOR)
        assert (denials(engine), engine.status().size) == ([], size)


def test_an_activation_says_what_its_set_is(tmp_path: Path) -> None:
    """The binding set is asked about other policies than those that become binding."""
    found = never("activate")
    with opened(fresh(tmp_path)) as engine:
        for policies, points in (
            ((), found.points),
            (found.policies, {*found.points} - {Point.ACTIVATE}),
            (found.policies, {*found.points, Point.EXPORT}),
        ):
            action = c.ActivatePolicy.of(found.digest, policies, points)
            document = PolicyDocument(found.digest, found.document)
            with pytest.raises(InvalidError) as caught:
                engine.submit(action, principal=OPERATOR, attachments=(document,))
            assert caught.value.code == "policy.mismatch"
        engine.activate(found, principal=OPERATOR)


@cache
def _nobody_else() -> PolicySet:
    """Return a set that lets only ``m1`` register."""
    rules = OPEN + '  - {id: none, on: [register], deny: member.id != "m1"}\n'
    with TemporaryDirectory() as folder:
        return kit.load(Path(folder), kit.policy(rules, on="[register, place, retain]"))


def _agree(engine: Engine) -> object:
    (proposal,) = engine.look(lambda state: state.proposals.values())
    agreed = c.ApprovePolicy(digest=proposal.digest, proposal=proposal.since, granted=True)
    return engine.submit(agreed, principal=OPERATOR)


Refused = Callable[[Engine, int], object]
OTHERS: Final[dict[str, tuple[type[e.Event], Refused]]] = {
    "registrations": (e.RegistrationDenied, lambda one, number: register(one, f"x{number}")),
    "policy sets": (
        e.PolicyRefused,
        lambda one, number: one.submit(
            c.RefusePolicy(codes=(f"policy.{number}",), errors=1), principal=OPERATOR
        ),
    ),
    "approvals": (e.PolicyChangeRefused, lambda one, _: _agree(one)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_ledger_cannot_be_filled_with_other_refusals(tmp_path: Path, what: str) -> None:
    """A key that may register its member, or send a set that does not load, grows the ledger without end."""
    kind, act = OTHERS[what]
    clock = ManualClock(START + SECOND)

    def recorded(engine: Engine) -> int:
        return sum(isinstance(one.event, kind) for one in engine.reader.entries())

    with opened(fresh(tmp_path), clock) as engine:
        engine.activate(_nobody_else(), principal=OPERATOR)
        offered = never("submit")
        proposal = c.ProposePolicy(
            digest=offered.digest, policies=tuple(offered.policies), points=tuple(sorted(map(str, offered.points)))
        )  # fmt: skip
        document = PolicyDocument(offered.digest, offered.document)
        engine.submit(proposal, principal=OPERATOR, attachments=(document,))
        for number in range(DENIALS_PER_HOUR_MAX + 5):
            with suppress(PfgovError):
                act(engine, number)
        assert recorded(engine) == DENIALS_PER_HOUR_MAX
        clock.advance(HOUR + SECOND)
        with suppress(PfgovError):
            act(engine, 999)
        assert recorded(engine) == DENIALS_PER_HOUR_MAX + 1
        engine.reader.replay()
    with opened(
        tmp_path / "ledger", clock, seed="again"
    ) as engine:  # what was counted is known after a restart
        assert (
            sum(one.principal == OPERATOR.id for one in engine.look(lambda state: state.denials))
            > 1
        )


def test_nothing_of_a_refused_write_is_kept(tmp_path: Path) -> None:
    """The context of a late checkpoint, a megabyte each, lies in the database for ever."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m1")
        submit(engine, packet("p1"))
        late = claim(engine, "p1")
        engine.submit(
            c.RequeuePacket(packet_id="p1", owner=late, reason="enough"), principal=OPERATOR
        )
        attached = engine.attach("packet/p1", "context", b'{"secret": 1}')
        asked = c.CommitCheckpoint(packet_id="p1", owner=late, context=attached.commitment)
        with pytest.raises(PfgovError) as caught:
            engine.submit(asked, principal=OPERATOR, attachments=(attached,))
        assert caught.value.receipt is not None
        with engine.reader.snapshot() as queries:
            assert queries.attachment(attached.commitment.digest) is None
        engine.reader.replay()
    assert not [one for one in doctor.examine(open_store(directory)) if one.outcome == "failed"]
    report = verified(directory, tmp_path)
    assert report.verdicts[INTEGRITY].status is Status.PASS

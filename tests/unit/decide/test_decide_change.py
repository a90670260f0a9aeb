"""What an activation demands: a proposal, and approvals of others, none of which can be stretched."""

import pytest
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.change import is_one_person
from pfgov.errors import PfgovError

SET, OTHER = "a" * 64, "b" * 64
ADMIN = ("admin", "operator")


def who(name: str, *, key: str = "1", rights: tuple[str, ...] = ADMIN) -> c.Principal:
    """Return the holder of a key of that name."""
    return c.Principal(id=f"key:{name}{key}".lower().replace(" ", ""), rights=rights, name=name)


ANN, BEN, CLEO, DAN = who("ann"), who("ben"), who("cleo"), who("dan")


def world(approvals: int = 2) -> World:
    """Return a ledger that demands so many approvals."""
    made = World()
    made.do(c.Configure(settings=(("activation_approvals", str(approvals)),)))
    return made


def propose(made: World, by: c.Principal = ANN, digest: str = SET) -> int:
    """Propose a set and return the position of the proposal."""
    made.do(c.ProposePolicy(digest=digest, policies=(("p", "1", "enforce"),), points=()), by)
    return made.state.proposals[digest].since


def approve(made: World, by: c.Principal, digest: str = SET, proposal: int | None = None) -> None:
    """Approve a proposal."""
    at = made.state.proposals[digest].since if proposal is None else proposal
    made.do(c.ApprovePolicy(digest=digest, proposal=at), by)


def activate(made: World, digest: str = SET, gone: tuple[str, ...] = ()) -> None:
    """Make a set binding."""
    named = tuple(made.policy.policies), tuple(sorted(map(str, made.policy.points)))
    made.do(c.ActivatePolicy(digest=digest, policies=named[0], points=named[1], gone=gone), DAN)


def refused(made: World, code: str, *, is_recorded: bool = True) -> None:
    """Hold that the last thing was refused with *code*, and that it is the last entry, if it is to be recorded."""
    last = made.entries[-1][1]
    assert isinstance(last, e.PolicyChangeRefused) == is_recorded
    if isinstance(last, e.PolicyChangeRefused):
        assert last.code == code


def not_binding(made: World, gone: tuple[str, ...] = ()) -> None:
    """Hold that the set cannot be made binding, that this is recorded, and that nothing else changed."""
    before = made.state.policy
    with pytest.raises(PfgovError) as refusal:
        activate(made, gone=gone)
    assert refusal.value.code == "policy.not_approved"
    refused(made, "policy.not_approved")
    assert made.state.policy == before


def test_enough_others_make_a_set_binding() -> None:
    """A set that was approved as demanded cannot be made binding."""
    made = world()
    propose(made)
    not_binding(made)
    approve(made, BEN)
    not_binding(made)
    approve(made, CLEO)
    activate(made)
    assert made.state.policy == SET
    assert not made.state.proposals


def test_what_is_not_proposed_is_not_binding() -> None:
    """A set that nobody proposed is made binding where approvals are demanded."""
    not_binding(world(1))


def test_nothing_is_demanded_unless_it_is_configured() -> None:
    """A ledger that never heard of approvals asks for them."""
    made = world(0)
    activate(made)
    assert made.state.policy == SET


@pytest.mark.parametrize(
    "again",
    [
        ANN,
        who("ann", key="2"),
        who("Ann", key="3"),
        who("a\u200bnn", key="4"),
        who("ann ", key="5"),
        who("a\u0301nn", key="6"),
        who("\uff41\uff4e\uff4e", key="7"),
    ],
)
def test_whoever_proposed_does_not_count(again: c.Principal) -> None:
    """The proposer approves its own proposal, with the same key or another one of the same name."""
    made = world(1)
    propose(made)
    with pytest.raises(PfgovError) as refusal:
        approve(made, again)
    assert refusal.value.code == "policy.own_proposal"
    refused(made, "policy.own_proposal")
    not_binding(made)


@pytest.mark.parametrize("again", [BEN, who("ben", key="2"), who("BEN", key="3")])
def test_nobody_counts_twice(again: c.Principal) -> None:
    """One person stands for two approvals."""
    made = world(2)
    propose(made)
    approve(made, BEN)
    with pytest.raises(PfgovError) as refusal:
        approve(made, again)
    assert refusal.value.code == "policy.approved_already"
    refused(made, "policy.approved_already")
    not_binding(made)


def test_nameless_principals_are_told_apart_by_their_ids() -> None:
    """Two people without names count as one, or one as two."""
    one, two = c.Principal(id="oidc:1", rights=ADMIN), c.Principal(id="oidc:2", rights=ADMIN)
    assert not is_one_person((one.id, one.name), (two.id, two.name))
    assert is_one_person((one.id, one.name), (one.id, one.name))
    assert not is_one_person(("key:1", ""[:0] or None), ("key:2", None))


def test_another_set_has_no_approvals() -> None:
    """What was agreed to for one set counts for a change of it."""
    made = world(1)
    propose(made)
    approve(made, BEN)
    propose(made, digest=OTHER)
    before = made.state.policy
    with pytest.raises(PfgovError) as refusal:
        activate(made, OTHER)
    assert refusal.value.code == "policy.not_approved"
    assert made.state.policy == before


def test_an_approval_is_of_the_proposal_that_was_looked_at() -> None:
    """Somebody approves what was proposed anew meanwhile."""
    made = world(1)
    first = propose(made)
    made.do(c.ApprovePolicy(digest=SET, proposal=first, granted=False), ANN)
    assert propose(made, CLEO) != first
    with pytest.raises(PfgovError) as refusal:
        approve(made, BEN, proposal=first)
    assert refusal.value.code == "policy.proposal_changed"
    not_binding(made)


def test_approvals_before_a_withdrawal_are_gone() -> None:
    """A proposal that was withdrawn and made again keeps the approvals of the first."""
    made = world(1)
    propose(made)
    approve(made, BEN)
    made.do(
        c.ApprovePolicy(digest=SET, proposal=made.state.proposals[SET].since, granted=False), ANN
    )
    propose(made)
    not_binding(made)


def test_an_activation_closes_every_proposal() -> None:
    """An approval in the place of one set counts in the place of another."""
    made = world(1)
    propose(made)
    propose(made, digest=OTHER)
    for digest in (SET, OTHER):
        approve(made, BEN, digest)
    activate(made, OTHER)
    assert not made.state.proposals
    not_binding(made)


def test_who_lost_the_right_does_not_count() -> None:
    """An approval outlives the right to give it."""
    made = world(2)
    propose(made)
    approve(made, BEN)
    approve(made, CLEO)
    not_binding(made, gone=(BEN.id,))
    not_binding(made, gone=(BEN.id, CLEO.id))
    activate(made, gone=("key:somebody-else",))
    assert made.state.policy == SET


@pytest.mark.parametrize("rights", [("operator",), ("reviewer",), ("member:m",), ()])
def test_only_whoever_may_activate_may_approve(rights: tuple[str, ...]) -> None:
    """A right to look at packets is a right to change policies."""
    made = world(1)
    propose(made)
    with pytest.raises(PfgovError) as refusal:
        approve(made, who("eve", rights=rights))
    assert refusal.value.code == "access.forbidden"
    assert not made.state.proposals[SET].approvals


def test_only_its_proposer_and_an_admin_turn_a_proposal_down() -> None:
    """Anybody closes the proposal of somebody else."""
    made = world(1)
    operator = who("op", rights=("operator",))
    propose(made, operator)
    at = made.state.proposals[SET].since
    with pytest.raises(PfgovError):
        made.do(
            c.ApprovePolicy(digest=SET, proposal=at, granted=False),
            who("eve", rights=("operator",)),
        )
    made.do(c.ApprovePolicy(digest=SET, proposal=at, granted=False), operator)
    assert not made.state.proposals


def test_a_proposal_is_made_once() -> None:
    """A second proposal of the same set resets what was agreed to, or takes it over."""
    made = world(1)
    first = propose(made)
    assert propose(made) == first
    with pytest.raises(PfgovError) as refusal:
        propose(made, BEN)
    assert refusal.value.code == "policy.proposed"


def test_proposals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody fills the state with proposals."""
    monkeypatch.setattr("pfgov.core.decide.change.PROPOSALS_MAX", 2)
    made = world(1)
    for digit in "cd":
        propose(made, digest=digit * 64)
    with pytest.raises(PfgovError) as refusal:
        propose(made, digest="e" * 64)
    assert refusal.value.code == "policy.proposals_too_many"


def test_the_rows_of_a_ledger_without_proposals_are_as_before() -> None:
    """An older ledger's row of its policy gets another form."""
    made = world(0)
    assert b"proposals" not in made.state.row("ledger_state", "policy")
    propose(made)
    raw = made.state.row("ledger_state", "policy")
    loaded = type(made.state)()
    loaded.load_row("ledger_state", "policy", raw)
    assert loaded.row("ledger_state", "policy") == raw
    assert b'"activation_approvals"' not in made.state.row("ledger_state", "ledger")

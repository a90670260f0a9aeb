"""The contract every scheduler keeps: room, refusals, parameters, names."""

import pytest
from unit.scheduling.scheduling_members import Member, asked, idle, machines

from pfgov.core.scheduler import (
    MICRO,
    SCORE_MAX,
    WEIGHT_MAX,
    BadParameterError,
    BadWeightError,
    BrokenSchedulerError,
    Choice,
    IneligibleChoiceError,
    Pairs,
    Pooling,
    Request,
    Scheduler,
    checked_choose,
    fits,
)
from pfgov.scheduling import draws
from pfgov.scheduling.binpack import BinPack
from pfgov.scheduling.draws import ranking
from pfgov.scheduling.registry import BUILT_IN, scheduler

ALL = sorted(BUILT_IN)


@pytest.mark.parametrize(
    ("capacity", "used", "active", "demand", "room"),
    [
        ({}, {}, 9, {"cpu": 5}, True),
        ({"cpu": 10}, {"cpu": 6}, 0, {"cpu": 4}, True),
        ({"cpu": 10}, {"cpu": 6}, 0, {"cpu": 5}, False),
        ({"cpu": 10}, {}, 0, {"gpu": 99}, True),
        ({"cpu": 0}, {}, 0, {}, True),
        ({"cpu": 0}, {}, 0, {"cpu": 1}, False),
        ({"cpu": 10, "memory": 5}, {"memory": 6}, 0, {"cpu": 1}, False),
        ({"tasks": 2 * MICRO}, {}, 1, {}, True),
        ({"tasks": 2 * MICRO}, {}, 2, {}, False),
        ({"tasks": 0}, {}, 0, {}, False),
        ({"tasks": 2 * MICRO - 1}, {}, 1, {}, False),
    ],
)
def test_room_is_what_the_kernel_would_grant(
    capacity: dict[str, int], used: dict[str, int], active: int, demand: dict[str, int], room: bool
) -> None:
    """A member is offered work exactly while every declared dimension has room for it."""
    member = Member("ada", capacity=capacity, used=used, active=active)
    request = asked(demand=demand)
    assert fits(request, member) is room
    for name in ALL:
        assert (scheduler(name).choose(request, [member]) is not None) is room


@pytest.mark.parametrize("name", ALL)
def test_nobody_among_nobody(name: str) -> None:
    """Without candidates there is no choice and no error."""
    made = scheduler(name)
    assert made.choose(asked(), []) is None
    assert made.scores(asked(), []) == []


@pytest.mark.parametrize("name", ALL)
def test_a_lone_member_has_no_runner_up(name: str) -> None:
    """With one candidate the runner-up is nobody, not the winner again."""
    choice = scheduler(name).choose(asked(), [Member("ada")])
    assert choice is not None
    assert (choice.member_id, choice.runner_up, choice.runner_up_score) == ("ada", None, None)


@pytest.mark.parametrize("name", ALL)
def test_the_full_member_is_passed_over(name: str) -> None:
    """Capacity decides before the score: the runner-up takes over when the winner is full."""
    made = scheduler(name)
    members = idle(6)
    first = made.choose(asked(), members)
    assert first is not None
    by_id = {member.member_id: member for member in members}
    by_id[first.member_id].capacity["tasks"] = 0
    second = made.choose(asked(), members)
    assert second is not None
    assert second.member_id == first.runner_up


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("free", [0, 1, 2, 5])
def test_those_with_room_are_found_in_a_full_fleet(name: str, free: int) -> None:
    """However many are full, the choice is that among those with room alone."""
    members = idle(60)
    for member in members[free:]:
        member.capacity["tasks"] = 0
    for index in range(10):
        request = asked(f"fp-{index}", epoch=index)
        made = scheduler(name, (("vnodes", "1"),) if name == "ring" else ())
        choice = made.choose(request, members)
        alone = made.choose(request, members[:free])
        if name == "seed-ring":  # whoever holds a slot is settled among all members, full or not
            assert (choice is None) == (free == 0)
        else:
            assert (choice and choice[:4]) == (alone and alone[:4])


@pytest.mark.parametrize("name", ALL)
def test_scores_fit_the_ledgers_integers(name: str) -> None:
    """A score stands in JSON as it is: 0..2**53-1."""
    made = scheduler(name)
    for index in range(200):
        for score in made.scores(asked(f"fp-{index}", demand={"cpu": 1}), machines(20)):
            assert type(score) is int
            assert 0 <= score <= SCORE_MAX


@pytest.mark.parametrize("name", ALL)
def test_a_scheduler_says_who_it_is(name: str) -> None:
    """The ledger records name, version and every parameter in force, in byte order."""
    made = scheduler(name)
    assert isinstance(made, Scheduler)
    assert made.name == name
    assert made.version == "1"
    assert list(made.parameters) == sorted(made.parameters)
    assert scheduler(name, made.parameters).parameters == made.parameters


@pytest.mark.parametrize("name", ["ring", "rendezvous"])
@pytest.mark.parametrize("weight", [0, -1, WEIGHT_MAX + 1])
def test_a_weight_out_of_bounds_is_refused(name: str, weight: int) -> None:
    """A weight that would cost unbounded work, or none, is an error with a code."""
    with pytest.raises(BadWeightError) as caught:
        scheduler(name).choose(asked(), [Member("heavy", weight=weight), Member("light")])
    assert caught.value.code == "scheduler.bad_weight"


@pytest.mark.parametrize(
    ("name", "parameters", "text"),
    [
        ("rendezvous", (("vnodes", "5"),), "it takes no parameters"),
        ("ring", (("vnode", "5"),), "did you mean 'vnodes'?"),
        ("ring", (("x", "5"),), "it has bound_permille, vnodes"),
        ("ring", (("vnodes", "5"), ("vnodes", "5")), "twice"),
        ("ring", (("vnodes", "0"),), "1..1024"),
        ("ring", (("vnodes", "1025"),), "1..1024"),
        ("ring", (("vnodes", "064"),), "1..1024"),
        ("ring", (("vnodes", "\uff16"),), "1..1024"),
        ("ring", (("bound_permille", "999"),), "or 0 (no bound)"),
        ("agent", (("choices", "1"),), "2..64, or 0 (compare all)"),
        ("binpack", (("strategy", "best"),), "one of least-allocated"),
        ("binpack", (("dimensions", ""),), "names such as"),
        ("binpack", (("dimensions", "CPU"),), "names such as"),
    ],
)
def test_a_bad_parameter_is_named(name: str, parameters: Pairs, text: str) -> None:
    """A parameter that cannot be is refused with what could be."""
    with pytest.raises(BadParameterError) as caught:
        scheduler(name, parameters)
    assert caught.value.code == "scheduler.bad_parameter"
    assert text in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("ring", (("bound_permille", "0"), ("vnodes", "1"))),
        ("ring", (("bound_permille", "10000"), ("vnodes", "1024"))),
        ("agent", (("choices", "2"), ("max_active", "1000000"))),
        ("binpack", (("dimensions", "gpu,cpu,cpu"), ("strategy", "balanced"))),
    ],
)
def test_parameters_at_their_limits_are_taken(name: str, parameters: Pairs) -> None:
    """The limits themselves are allowed, and recorded in canonical form."""
    recorded = dict(scheduler(name, parameters).parameters)
    for key, text in parameters:
        assert recorded[key] == ("cpu,gpu" if key == "dimensions" else text)


def test_ranking_lists_the_nearest_losers() -> None:
    """The best scores come first, and equals in the order the tie-break would take them."""
    members = idle(5)
    scores = [5, 9, 9, 1, 9]
    order = ranking(asked(), members, scores, 4)
    assert len(order) == 4
    assert set(order[:3]) == {1, 2, 4}
    assert order[3] == 0
    for first, second in ((0, 1), (1, 2)):
        pair = [members[order[first]], members[order[second]]]
        choice = scheduler("agent").choose(asked(), pair)
        assert choice is not None
        assert choice.member_id == pair[0].member_id


def test_ties_depend_on_packet_and_epoch() -> None:
    """Equal members share the ties: neither the packet nor the epoch alone always picks the same."""
    members = idle(4)
    made = scheduler("agent")
    by_packet = {_chosen(made, asked(f"fp-{index}"), members) for index in range(40)}
    by_epoch = {_chosen(made, asked(epoch=index), members) for index in range(40)}
    assert len(by_packet) == len(by_epoch) == 4


def test_the_smaller_id_wins_the_last_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even members whose numbers collide have a stated order, with and without numpy."""
    members = idle(6)
    monkeypatch.setattr(draws, "_numbers", {member.member_id: 12345 for member in members})
    for name in ("agent", "rendezvous", "binpack"):
        choice = scheduler(name).choose(asked(), list(reversed(members)))
        assert choice is not None
        assert (choice.member_id, choice.runner_up) == ("member-0000", "member-0001")
    for accelerated in (False, True):
        pool = BinPack().pool(list(reversed(members)), accelerated=accelerated)
        choice = pool.choose(asked())
        assert choice is not None
        assert (choice.member_id, choice.runner_up) == ("member-0000", "member-0001")


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_small_pool_stays_right_through_many_changes(accelerated: bool) -> None:
    """However often loads change, a pool answers by the load as it is."""
    made = BinPack()
    members = machines(2)
    pool = made.pool(members, accelerated=accelerated)
    request = asked(demand={"cpu": MICRO})
    for index in range(300):
        changed = members[index % 2]
        changed.used["cpu"] = index * 77_777 % (5 * MICRO)
        pool.refresh(changed.member_id)
        if index % 7 == 0:
            expected = made.choose(request, members)
            assert pool.choose(request) == (expected and expected._replace(scores=()))
    members[0].capacity = members[1].capacity = {"tasks": 0}
    fresh = made.pool(members, accelerated=accelerated)
    assert fresh.choose(request) is made.choose(request, members) is None


def _chosen(made: Scheduler, request: Request, members: list[Member]) -> str:
    choice = made.choose(request, members)
    assert choice is not None
    return choice.member_id


class Plug:
    """A plug-in that answers what it is told to."""

    name = "plug"
    version = "1"
    parameters: Pairs = ()

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def choose(self, request: Request, candidates: object) -> Choice | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]

    def scores(self, request: Request, candidates: object) -> list[int]:
        return []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Choice("eve", 1), IneligibleChoiceError),
        (Choice("ada", 1, "eve", 1), IneligibleChoiceError),
        (Choice("full", 1), IneligibleChoiceError),
        ("ada", BrokenSchedulerError),
        (("ada", 1, None, None, ()), BrokenSchedulerError),
        (Choice("ada", 0.5), BrokenSchedulerError),  # type: ignore[arg-type]
        (Choice("ada", True), BrokenSchedulerError),
        (Choice("ada", -1), BrokenSchedulerError),
        (Choice("ada", SCORE_MAX + 1), BrokenSchedulerError),
        (Choice("ada", 1, "bob", None), BrokenSchedulerError),
        (ZeroDivisionError("oops"), BrokenSchedulerError),
        (BadWeightError("as it is"), BadWeightError),
    ],
)
def test_what_nobody_may_act_on_is_refused(answer: object, error: type[Exception]) -> None:
    """A plug-in that names a stranger or a full member, or talks nonsense, moves nothing."""
    members = [Member("ada"), Member("bob"), Member("full", capacity={"tasks": 0})]
    with pytest.raises(error):
        checked_choose(Plug(answer), asked(), members)


def test_a_fair_answer_passes() -> None:
    """What a plug-in may say is handed on unchanged."""
    members = [Member("ada"), Member("bob")]
    for answer in (None, Choice("ada", 0), Choice("bob", SCORE_MAX, "ada", 0)):
        assert checked_choose(Plug(answer), asked(), members) is answer


@pytest.mark.parametrize("name", ["ring", "binpack"])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_a_pool_answers_as_its_scheduler_without_the_table(name: str, count: int) -> None:
    """Preparing the candidates changes the time a choice takes, and nothing else."""
    made = scheduler(name)
    assert isinstance(made, Pooling)
    members = machines(count)
    pool = made.pool(members)
    for index in range(20):
        request = asked(f"fp-{index}", demand={"cpu": 1})
        choice = made.choose(request, members)
        assert (choice is None) == (count == 0)
        if choice is None:
            assert pool.choose(request) is None
        else:
            assert len(choice.scores) == count
            assert pool.choose(request) == choice._replace(scores=())
    with pytest.raises(KeyError):
        pool.refresh("nobody")
    for member in members:
        pool.refresh(member.member_id)

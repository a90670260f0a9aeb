"""What an activation may rest on: bundles of publishers that are trusted, reports of impact, sets that were binding."""

import msgspec
import pytest
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.errors import PfgovError

KEY, NEXT, OTHER = "a" * 64, "b" * 64, "c" * 64
SET, SECOND = "1" * 64, "2" * 64
SIGNED = ((KEY, "0" * 128), (NEXT, "0" * 128))


def world() -> World:
    """Return a ledger that trusts one publisher."""
    made = World()
    made.do(c.TrustPublisher(name="acme", key=KEY))
    return made


def bundle(version: str = "1", key: str = KEY, name: str = "acme") -> c.BundleRef:
    """Return what a bundle is recorded as."""
    return c.BundleRef(publisher=name, key=key, version=version, manifest="d" * 64)


def rotation(made: World, old: str, new: str) -> c.RotatePublisher:
    """Return what lets *new* take over from *old*."""
    return c.RotatePublisher(
        origin=made.state.origin, name="acme", old=old, new=new, signatures=SIGNED
    )


def activation(made: World, digest: str = SET, **more: object) -> c.ActivatePolicy:
    """Return an activation."""
    named = tuple(made.policy.policies), tuple(sorted(map(str, made.policy.points)))
    action = c.ActivatePolicy(digest=digest, policies=named[0], points=named[1])
    return msgspec.structs.replace(action, **more)


def report(made: World, **more: object) -> c.ReportRef:
    """Return a report over everything."""
    found = c.ReportRef(
        digest="e" * 64,
        key=KEY,
        origin=made.state.origin,
        size=made.state.size,
        root="f" * 64,
        first=0,
        sample=1,
        proposed=SET,
        binding=made.state.policy,
    )
    return msgspec.structs.replace(found, **more)


def refused(
    made: World, action: c.ActivatePolicy, code: str, by: c.Principal | None = None
) -> None:
    """Hold that it is refused with *code*, that nothing changed, and that the refusal is the last entry."""
    before = made.state.policy, made.state.publishers.values(), made.state.size
    with pytest.raises(PfgovError) as refusal:
        made.do(action, by) if by else made.do(action)
    assert refusal.value.code == code
    assert (made.state.policy, made.state.publishers.values()) == before[:2]
    last = made.entries[-1][1]
    assert made.state.size == before[2] + 1
    assert isinstance(last, e.PolicyChangeRefused)
    assert (last.code, last.action) == (code, "activate")


def test_a_bundle_of_a_trusted_publisher_is_let_in_and_recorded() -> None:
    """An activation does not say in what its set came."""
    made = world()
    made.do(activation(made, bundle=bundle()))
    assert made.state.policy == SET
    last = made.entries[-1][1]
    assert isinstance(last, e.PolicyActivated)
    assert last.bundle == bundle()
    assert made.state.publishers["acme"].versions == (("1", SET),)


def test_bundles_of_others_are_refused() -> None:
    """A key that nobody trusts, or another publisher's name, is let in."""
    made = world()
    refused(made, activation(made, bundle=bundle(key=OTHER)), "publisher.unknown")
    refused(made, activation(made, bundle=bundle(name="acm")), "publisher.unknown")
    refused(made, activation(made, bundle=bundle(name="Acme")), "publisher.unknown")


def test_another_set_under_the_same_version_is_refused() -> None:
    """A publisher's version may become another set, or the same one cannot come back."""
    made = world()
    made.do(activation(made, bundle=bundle()))
    refused(made, activation(made, SECOND, bundle=bundle()), "bundle.version_taken")
    made.do(rotation(made, KEY, NEXT))
    refused(made, activation(made, SECOND, bundle=bundle(key=NEXT)), "bundle.version_taken")
    made.do(activation(made, SECOND, bundle=bundle("2", key=NEXT)))
    made.do(activation(made, SET, bundle=bundle(key=NEXT)))
    assert made.state.policy == SET


def test_keys_end_by_time_rotation_and_revocation() -> None:
    """A key counts after its time, after another took over, or after it was revoked."""
    made = world()
    made.do(c.TrustPublisher(name="acme", key=KEY, expires_at=made.now + 1_000_000))
    made.now += 1_000_000
    refused(made, activation(made, bundle=bundle()), "publisher.expired")
    with pytest.raises(PfgovError, match="is over"):
        made.do(rotation(made, KEY, NEXT))
    made.do(c.TrustPublisher(name="acme", key=KEY))
    made.do(rotation(made, KEY, NEXT))
    refused(made, activation(made, bundle=bundle()), "publisher.rotated")
    made.do(c.RevokePublisher(name="acme", key=KEY))
    refused(made, activation(made, bundle=bundle()), "publisher.revoked")
    made.do(c.RevokePublisher(name="acme", key=NEXT))
    refused(made, activation(made, bundle=bundle(key=NEXT)), "publisher.revoked")
    for name in ("acme", "other"):
        with pytest.raises(PfgovError):
            made.do(c.TrustPublisher(name=name, key=KEY))
    assert [key.revoked for key in made.state.publishers["acme"].keys] == [True, True]


@pytest.mark.parametrize(
    ("name", "key", "code"),
    [
        ("Acme", OTHER, "publisher.name"),
        ("ac me", OTHER, "publisher.name"),
        ("ac\u200bme", OTHER, "publisher.name"),
        ("other", KEY, "publisher.key_known"),
        ("other", OTHER.upper(), "publisher.key"),
        ("other", OTHER[1:], "publisher.key"),
    ],
)
def test_what_cannot_be_trusted(name: str, key: str, code: str) -> None:
    """A name that reads like another, a key with two names, or no key at all is trusted."""
    made = world()
    with pytest.raises(PfgovError) as refusal:
        made.do(c.TrustPublisher(name=name, key=key))
    assert refusal.value.code == code
    assert list(made.state.publishers) == ["acme"]


def test_publishers_their_keys_and_versions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be any number of publishers, of their keys, or of versions that are remembered."""
    made = world()
    where = "pfgov.core.decide.publishing"
    monkeypatch.setattr(f"{where}.PUBLISHERS_MAX", 1)
    with pytest.raises(PfgovError, match="publishers are known"):
        made.do(c.TrustPublisher(name="other", key=OTHER))
    monkeypatch.setattr(f"{where}.PUBLISHER_KEYS_MAX", 2)
    made.do(rotation(made, KEY, NEXT))
    with pytest.raises(PfgovError, match="keys already"):
        made.do(rotation(made, NEXT, OTHER))
    monkeypatch.setattr(f"{where}.PUBLISHER_VERSIONS_MAX", 1)
    made.do(activation(made, bundle=bundle("1", NEXT)))
    refused(made, activation(made, SECOND, bundle=bundle("2", NEXT)), "publisher.versions_too_many")


def test_where_bundles_are_demanded_nothing_else_is_let_in() -> None:
    """A folder is made binding although the configuration demands a bundle."""
    made = world()
    made.do(c.Configure(settings=(("activation_bundle", "1"),)))
    refused(made, activation(made), "bundle.missing")
    made.do(activation(made, bundle=bundle()))
    assert made.state.policy == SET


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"origin": "elsewhere"}, "impact.other_ledger"),
        ({"proposed": SECOND}, "impact.other_set"),
        ({"binding": SECOND}, "impact.other_set"),
        ({"size": 1_000}, "impact.other_range"),
        ({"key": OTHER}, "impact.signer"),
    ],
)
def test_a_report_about_something_else_is_refused(what: dict[str, object], code: str) -> None:
    """A report about another ledger, set or range, or of somebody unknown, is taken; demanded or not."""
    made = world()
    refused(made, activation(made, report=report(made, **what)), code)
    made.do(activation(made, report=report(made)))
    assert made.state.policy == SET


def test_a_demanded_report_has_to_cover_enough_and_be_new() -> None:
    """An activation goes through without the report that is demanded, or with one of too little, or too old."""
    made = world()
    settings = (("activation_report", "2"), ("activation_report_lag", "3"))
    made.do(c.Configure(settings=settings))
    refused(made, activation(made), "impact.missing")
    refused(made, activation(made, report=report(made, sample=2)), "impact.other_range")
    short = report(made, first=made.state.size - 1)
    refused(made, activation(made, report=short), "impact.other_range")
    old = report(made)
    for _ in range(4):
        refused(made, activation(made), "impact.missing")
    refused(made, activation(made, report=old), "impact.other_range")
    made.do(activation(made, report=report(made, first=made.state.size - 2)))
    assert made.state.policy == SET


def test_going_back_is_to_what_was_binding() -> None:
    """One goes back to a set that was never binding, or not to one that was."""
    made = world()
    made.do(activation(made, SET))
    made.do(activation(made, SECOND))
    refused(made, activation(made, "3" * 64, rollback="ordinary"), "policy.never_binding")
    made.do(activation(made, SET, rollback="ordinary"))
    assert made.state.policy == SET
    assert SECOND in made.state.policies_before
    assert SET not in made.state.policies_before


def test_an_emergency_needs_its_right_and_nothing_else() -> None:
    """An emergency is anybody's with the right admin, or asks for what is demanded otherwise, or is not recorded."""
    made = world()
    made.do(activation(made, SET))
    made.do(activation(made, SECOND))
    demanded = (
        ("activation_approvals", "2"),
        ("activation_bundle", "1"),
        ("activation_report", "9"),
    )
    made.do(c.Configure(settings=demanded))
    admin = c.Principal(id="key:a", rights=("admin", "operator"))
    firefighter = c.Principal(id="key:b", rights=("emergency",))
    refused(made, activation(made, SET, rollback="ordinary"), "policy.not_approved", admin)
    with pytest.raises(PfgovError, match="emergency"):
        made.do(activation(made, SET, rollback="emergency"), admin)
    with pytest.raises(PfgovError, match="admin"):
        made.do(activation(made, SET), firefighter)
    refused(
        made, activation(made, "3" * 64, rollback="emergency"), "policy.never_binding", firefighter
    )
    made.do(activation(made, SET, rollback="emergency"), firefighter)
    last = made.entries[-1][1]
    assert isinstance(last, e.PolicyActivated)
    assert last.rollback == "emergency"
    assert made.state.policy == SET


def test_a_ledger_that_is_loaded_again_knows_the_same() -> None:
    """Publishers, versions and earlier sets are lost with the memory."""
    made = world()
    made.do(activation(made, SET, bundle=bundle()))
    made.do(activation(made, SECOND))
    rows = [(table, key, made.state.row(table, key)) for table, key in made.state.rows()]
    other = World()
    for table, key, raw in rows:
        other.state.load_row(table, key, raw)
    assert other.state.publishers == made.state.publishers
    assert other.state.policies_before == made.state.policies_before


def test_sets_that_were_binding_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state names every set that was ever binding, or forgets the newest."""
    monkeypatch.setattr("pfgov.core.apply.ledger.POLICIES_REMEMBERED_MAX", 2)
    made = world()
    for digit in "1234":
        made.do(activation(made, digit * 64))
    assert made.state.policies_before == ("2" * 64, "3" * 64)


# --- proposals --------------------------------------------------------------------------------


def proposal(**more: object) -> c.ProposePolicy:
    """Return a proposal."""
    action = c.ProposePolicy(digest=SET, policies=(("p", "1", "enforce"),), points=())
    return msgspec.structs.replace(action, **more)


def test_a_proposal_records_the_report_that_it_comes_with() -> None:
    """What a trial came to is not on record, or another report leaves the approvals of the first."""
    made = world()
    made.do(proposal(report=report(made)))
    last = made.entries[-1][1]
    assert isinstance(last, e.PolicyProposed)
    assert last.report is not None
    assert made.state.proposals[SET].report == last.report.digest == "e" * 64
    at = made.state.proposals[SET].since
    made.do(c.ApprovePolicy(digest=SET, proposal=at), c.Principal(id="key:b", rights=("admin",)))
    size = made.state.size
    made.do(proposal())
    made.do(proposal(report=report(made)))
    assert made.state.size == size, "the same report again, or none, changes nothing"
    assert made.state.proposals[SET].approvals
    made.do(proposal(report=report(made, digest="f" * 64)))
    assert (made.state.proposals[SET].report, made.state.proposals[SET].approvals) == ("f" * 64, ())
    assert made.state.proposals[SET].since == size


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"origin": "pfgov.test/other"}, "impact.other_ledger"),
        ({"proposed": SECOND}, "impact.other_set"),
        ({"binding": SECOND}, "impact.other_set"),
        ({"size": 99_999}, "impact.other_range"),
        ({"key": OTHER}, "impact.signer"),
    ],
)
def test_a_proposal_with_a_report_about_something_else_is_refused(
    what: dict[str, object], code: str
) -> None:
    """A proposal is backed by a report about another ledger, set or range, or by somebody unknown."""
    made = world()
    with pytest.raises(PfgovError) as refusal:
        made.do(proposal(report=report(made, **what)))
    assert refusal.value.code == code
    last = made.entries[-1][1]
    assert isinstance(last, e.PolicyChangeRefused)
    assert (last.code, last.action) == (code, "propose")
    assert SET not in made.state.proposals

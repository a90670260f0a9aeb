"""A set's identity: the canonical document, its digest, and the way back."""

import gc
import json
import weakref
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import PLACING
from pfgov.errors import PolicyError
from pfgov.policy import SEMANTICS, PolicySet, from_document, load_starter, shipped_directory
from pfgov.policy.files.document import digest_of
from pfgov.policy.load import load_directory
from pfgov_ledger import canonical

OLD = Path(__file__).parents[2] / "data" / "policy-sets" / "semantics-1"
"""Documents that were written before the facts of semantics 2."""

RICH = kit.policy(
    "  - id: trust\n    when: variables.pii\n    require: member.trust_score >= params.floor\n"
    "    message: '{member.trust_score}'\n    obligations: [{type: redact, paths: [/a]}]\n"
    "  - {id: ask, when: packet.priority > params.high, escalate: {to: reviewer, expires: 2h}}\n"
    "  - {id: note, when: packet.priority > 1, obligations: [{type: approval, to: operator, expires: 1d}]}\n",
    extra=(
        "params:\n  floor: {type: double, value: 1}\n  high: {type: int, value: 9}\n"
        "  spans: {type: duration, value: 15m}\n  names: {type: list(string), value: [a, b]}\n"
        "  weights: {type: 'map(string, double)', value: {b: 2, a: 0.1}}\n"
        "variables: {pii: 'packet.data_classes.exists(c, c.startsWith(\"pii\"))'}\n"
    ),
)


@pytest.fixture
def policies(tmp_path: Path) -> PolicySet:
    """A set that uses every part of the language."""
    return kit.load(tmp_path, RICH)


def test_the_digest_is_of_the_document(policies: PolicySet) -> None:
    """The set's digest is the SHA-256 of its document, which is canonical JSON."""
    assert policies.digest == digest_of(policies.document)
    assert canonical.encode(canonical.decode(policies.document)) == policies.document


def test_a_set_comes_back_from_its_document(policies: PolicySet) -> None:
    """What the ledger attached compiles again to the same identity and the same verdicts."""
    again = from_document(policies.document)
    assert again.digest == policies.digest
    assert again.policies == policies.policies
    assert again.points == policies.points
    work = kit.packet(data_classes=["pii.email"], priority=10)
    members = [kit.member(trust_score=score) for score in (0.1, 1.0, ...)]
    question = kit.question(work=work)
    assert again.judge(question, members) == policies.judge(question, members)


def test_shipped_sets_come_back() -> None:
    """Every shipped pack survives the way through its document."""
    for path in sorted(shipped_directory("kernel").parent.iterdir()):
        if path.name != "kernel" and any(path.glob("*.policy.yaml")):
            found = load_directory(path, generated=False)
            assert from_document(found.document).digest == found.digest


def test_the_digest_does_not_depend_on_file_names_or_order(tmp_path: Path) -> None:
    """Identity comes from what policies say, not from where they stand."""
    one = kit.policy("  - {id: a, require: member.trust_score > 0.1}\n", name="one")
    two = kit.policy("  - {id: b, require: member.trust_score > 0.2}\n", name="two")
    first = kit.load(tmp_path / "x", one, two)
    second = kit.load(tmp_path / "y", two, f"# a comment\n{one}")
    assert first.digest == second.digest


def test_every_change_of_meaning_changes_the_digest(tmp_path: Path) -> None:
    """Another bound, mode, message or version is another set."""
    base = kit.policy("  - {id: a, require: member.trust_score > 0.1}\n")
    variants = [
        base,
        base.replace("0.1", "0.2"),
        base.replace('"1"', '"2"'),
        base.replace("on: [place]", "on: [place, retain]"),
        base.replace("0.1}", "0.1, message: nope}"),
        base.replace("rules:", "mode: shadow\nrules:"),
    ]
    found = {kit.load(tmp_path / str(n), text).digest for n, text in enumerate(variants)}
    assert len(found) == len(variants)


def broken(document: bytes, edit: object) -> bytes:
    """Return *document* with one edit of its tree."""
    tree = json.loads(document)
    edit(tree)  # type: ignore[operator]
    return canonical.encode(tree)


EDITS = {
    "without the kernel": (
        "policy.kernel",
        lambda t: t.update(policies=[p for p in t["policies"] if p["name"] != "kernel"]),
    ),
    "with a weaker kernel": ("policy.kernel", lambda t: t["policies"][0]["rules"].pop()),
    "with a shadowed kernel": ("policy.kernel", lambda t: t["policies"][0].update(mode="shadow")),
    "with two kernels": ("policy.document", lambda t: t["policies"].insert(0, t["policies"][0])),
    "with other semantics": ("policy.semantics", lambda t: t.update(semantics=SEMANTICS + 1)),
    "with another schema": ("policy.semantics", lambda t: t["schema"].pop()),
    "of another format": ("policy.document", lambda t: t.update(format="pfgov/policy-set/v9")),
    "with an unknown key": ("policy.document", lambda t: t.update(extra=1)),
    "out of order": ("policy.document", lambda t: t["policies"].reverse()),
    "with a rule without a condition": (
        "policy.document",
        lambda t: t["policies"][1]["rules"][0].update(condition=None),
    ),
    "with an unknown kind of rule": (
        "policy.document",
        lambda t: t["policies"][1]["rules"][0].update(kind="permit"),
    ),
    "with a rule twice": (
        "policy.document",
        lambda t: t["policies"][1]["rules"].append(t["policies"][1]["rules"][0]),
    ),
    "with another point": (
        "policy.document",
        lambda t: t["policies"][1]["rules"][0].update(on=["register"]),
    ),
    "with a double that is none": (
        "policy.document",
        lambda t: t["policies"][1]["params"][0].__setitem__(2, "NaN"),
    ),
    "with a double in another form": (
        "policy.document",
        lambda t: t["policies"][1]["params"][0].__setitem__(2, "1.00"),
    ),
    "with a name that is none": ("policy.document", lambda t: t["policies"][1].update(name="a b")),
    "with a default written out": (
        "policy.document",
        lambda t: t["policies"][1]["rules"][0]["obligations"][0].update(to=None),
    ),
    "with garbage for a condition": (
        "policy.invalid",
        lambda t: t["policies"][1]["rules"][0].update(condition="(("),
    ),
    "with an unknown import": ("policy.invalid", lambda t: t["policies"][1].update(imports=["x"])),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_document_that_was_tampered_with_is_refused(edit: str, policies: PolicySet) -> None:
    """A document is untrusted input: every inconsistency has its code, and none compiles."""
    code, change = EDITS[edit]
    with pytest.raises(PolicyError) as caught:
        from_document(broken(policies.document, change))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"nonsense", b'{"format":"pfgov/policy-set/v1"}']
)
def test_other_bytes_are_no_document(raw: bytes) -> None:
    """Bytes that are no document are refused as such."""
    with pytest.raises(PolicyError) as caught:
        from_document(raw)
    assert caught.value.code == "policy.document"


def test_spaces_are_not_canonical(policies: PolicySet) -> None:
    """The same document with spaces has another digest, so it is refused."""
    with pytest.raises(PolicyError) as caught:
        from_document(json.dumps(json.loads(policies.document)).encode())
    assert caught.value.code == "policy.document"


def test_replay_runs_no_generated_code(policies: PolicySet) -> None:
    """A set from a document is evaluated exactly unless its origin is vouched for."""
    document = policies.document
    assert not from_document(document).judges[kit.Point.ASSIGN].is_generated
    assert from_document(document, generated=True).judges[kit.Point.ASSIGN].is_generated


def test_the_starter_set_covers_every_placing_point() -> None:
    """A fresh workspace has a policy wherever nothing would be allowed without one, and says who may export."""
    assert load_starter().points == PLACING | {kit.Point.EXPORT}


@pytest.mark.parametrize("name", sorted(path.stem for path in OLD.iterdir()))
def test_a_set_of_the_first_semantics_still_compiles(name: str) -> None:
    """A document from before the new facts keeps its bytes, its digest and its kernel; labels are free in it."""
    raw = (OLD / f"{name}.json").read_bytes()
    found = from_document(raw, generated=True)
    assert (found.document, found.semantics) == (raw, 1)
    assert found.labels.is_free
    assert ("kernel", "1", "enforce") in found.policies


@pytest.mark.parametrize("name", ["starter", "regulated-review"])
def test_a_set_of_the_second_semantics_still_compiles(name: str) -> None:
    """A document from before contexts were looked through keeps its bytes and its meaning: labels stay declared."""
    raw = (OLD.parent / "semantics-2" / f"{name}.json").read_bytes()
    found = from_document(raw, generated=True)
    assert (found.document, found.semantics) == (raw, 2)
    assert not found.labels.is_free
    assert ("kernel", "2", "enforce") in found.policies


@pytest.mark.parametrize("name", ["starter", "regulated-review", "typed"])
def test_a_set_of_the_third_semantics_still_compiles(name: str) -> None:
    """A document from before reasons showed what decided keeps its bytes, and labels their types."""
    raw = (OLD.parent / "semantics-3" / f"{name}.json").read_bytes()
    found = from_document(raw, generated=True)
    assert (found.document, found.semantics) == (raw, 3)
    assert not found.labels.is_free
    assert {rule.semantics for judge in found.judges.values() for rule in judge.rules} == {3}


def test_a_set_of_the_first_semantics_brings_its_own_schema(policies: PolicySet) -> None:
    """A document cannot mix: neither old semantics with the present schema, nor with another kernel."""
    old = (OLD / "starter.json").read_bytes()
    for change in (
        lambda t: t.update(schema=json.loads(policies.document)["schema"]),
        lambda t: t["schema"].pop(),
        lambda t: t["policies"][0].update(json.loads(policies.document)["policies"][0]),
    ):
        with pytest.raises(PolicyError):
            from_document(broken(old, change))


def test_reasons_have_one_order_wherever_the_set_came_from(tmp_path: Path) -> None:
    """The kernel's reasons come first, then by policy name: replay writes the same bytes."""
    policies = kit.load(
        tmp_path,
        kit.policy("  - {id: z, require: member.trust_score > 0.5}\n", name="zebra"),
        kit.policy("  - {id: a, require: member.trust_score > 0.5}\n", name="aard"),
    )
    member = kit.member(trust_score=0.1, status="SUSPECT")
    found = policies.judge_one(kit.question(), member)
    assert [reason.name for reason in found.reasons] == ["kernel/active", "aard/a", "zebra/z"]
    assert from_document(policies.document).judge_one(kit.question(), member) == found


def test_a_document_in_use_is_compiled_once(policies: PolicySet) -> None:
    """Two ledgers with one set compile it twice, fast and exact sets are mixed up, or a set outlives its last user."""
    document = policies.document
    exact, fast = from_document(document), from_document(document, generated=True)
    assert from_document(document) is exact
    assert from_document(document, generated=True) is fast
    assert fast is not exact
    weak = weakref.ref(exact)
    del exact
    gc.collect()
    assert weak() is None

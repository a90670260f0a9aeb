"""What an author tells tests that cannot occur: each fixture or case of the kind is one problem, and no green test."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.checking import check_directory

LABELS = (
    "apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: '1'}\n"
    "packet:\n  amount: {type: int, set_by: [submitter]}\n"
)

CASES = [
    # (what is wrong, what it is of, facts, code, a piece of the hint or the message)
    (
        "a demand in capitals",
        "packet",
        "{required_capabilities: [OCR]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    (
        "a demand that is none",
        "packet",
        "{required_capabilities: ['ocr=>1']}",
        "policy.fact",
        "version specifier",
    ),
    ("an id with a blank", "packet", "{packet_id: 'a b'}", "policy.fact", "no blanks"),
    (
        "an owner with a blank",
        "packet",
        "{previous_owners: [Bob Smith]}",
        "policy.fact",
        "no blanks",
    ),
    (
        "a number for a label",
        "packet",
        "{labels: {amount: 20000}}",
        "policy.fact",
        'quote it: "20000"',
    ),
    (
        "a submitter who is nobody",
        "packet",
        "{submitted_by: {id: anna}}",
        "policy.test.packet",
        "key:...",
    ),
    (
        "a submitter for somebody else",
        "packet",
        "{submitted_by: {id: anna, members: [bob]}}",
        "policy.test.packet",
        "key:...",
    ),
    (
        "the local operator for a member",
        "packet",
        "{submitted_by: {id: local, members: [a]}}",
        "policy.test.packet",
        "acts for no member",
    ),
    (
        "a reviewer who is a member",
        "packet",
        "{reviews: [anna]}",
        "policy.fact",
        "no right but the member's",
    ),
    (
        "a capability in capitals",
        "member",
        "{capabilities: [OCR]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    (
        "a versioned capability in capitals",
        "member",
        "{capabilities: [{name: OCR, version: '1'}]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    ("a member with a blank", "member", "{id: 'm 1'}", "policy.fact", "no blanks"),
    ("trust in per cent", "member", "{trust_score: 95}", "policy.fact", "write 0.95"),
    (
        "a right that there is not",
        "principal",
        "{id: 'key:a', rights: [review]}",
        "policy.fact",
        "did you mean `reviewer`?",
    ),
    (
        "the local operator with few rights",
        "principal",
        "{id: local, rights: [submitter]}",
        "policy.test.principal",
        "are admin, assessor",
    ),
    (
        "nobody with rights",
        "principal",
        "{id: anyone, rights: [admin]}",
        "policy.test.principal",
        "are none",
    ),
    (
        "a key with the engine's right",
        "principal",
        "{id: 'key:a', rights: [engine]}",
        "policy.test.principal",
        "pfgov:engine's alone",
    ),
    (
        "a key with an issuer",
        "principal",
        "{id: 'key:a', issuer: 'https://x', rights: [operator]}",
        "policy.test.principal",
        "no issuer",
    ),
    (
        "a token with a key's name",
        "principal",
        "{id: 'oidc:x', name: Anna}",
        "policy.test.principal",
        "no name",
    ),
    (
        "a key without a name after it",
        "principal",
        "{id: 'key:', rights: [operator]}",
        "policy.test.principal",
        "key:...",
    ),
    (
        "a review for no such point",
        "case",
        "action: review, packet: p, review: {point: assign}, expect: allow",
        "policy.fact",
        "`place`",
    ),
    (
        "a reviewed rule without its policy",
        "case",
        "action: review, packet: p, review: {rules: [four]}, expect: allow",
        "policy.fact",
        "POLICY/RULE",
    ),
    (
        "an export of one subject that is not named",
        "case",
        "action: export, export: {kind: subject}, expect: allow",
        "policy.test.case",
        "subject: packet/ID",
    ),
    (
        "a subject that is none",
        "case",
        "action: export, export: {kind: subject, subject: p}, expect: allow",
        "policy.fact",
        "packet/ID",
    ),
    (
        "a covered point that there is not",
        "case",
        "action: activate, activation: {points: [asign]}, expect: allow",
        "policy.fact",
        "did you mean `assign`?",
    ),
    (
        "one outcome for several members",
        "case",
        "packet: p, members: [m], expect: allow",
        "policy.wrong_type",
        "expect: {m: allow}",
    ),
    (
        "a member where there is none",
        "case",
        "action: submit, packet: p, expect: {m: allow}",
        "policy.test.expect",
        "expect: allow",
    ),
    (
        "facts without `with`",
        "case",
        "packet: {labels: {amount: '3'}}, members: [m], expect: {m: allow}",
        "policy.test.case",
        "{with: {...}}",
    ),
    (
        "one member that is no list",
        "case",
        "packet: p, members: m, expect: {m: deny}",
        "policy.wrong_type",
        "write [m]",
    ),
]

POLICY = kit.policy(
    "  - id: a\n    on: [assign]\n    deny: packet.labels.amount > 5\n"
    "  - id: b\n    deny: principal.rights.exists(r, r == 'admin')\n",
    on="[assign, submit, review, export, activate]",
)


@pytest.mark.parametrize(("name", "root", "facts", "code", "said"), CASES)
def test_what_cannot_occur_is_told_to_no_test(
    tmp_path: Path, name: str, root: str, facts: str, code: str, said: str
) -> None:
    """A fixture or a case that no door lets in is one problem with its remedy, and never a green test."""
    known = {
        "packet": "p: {}",
        "member": "m: {}",
        "principal": "q: {id: 'key:a', rights: [operator]}",
    }
    if root != "case":
        known[root] = f"{known[root][0]}: {facts}"
    case = "packet: p, members: [m], principal: q, expect: {m: allow}" if root != "case" else facts
    fixtures = "".join(f"{one}s:\n  {text}\n" for one, text in known.items())
    kit.write(
        tmp_path,
        {
            "labels.yaml": LABELS,
            "p.policy.yaml": POLICY,
            "p.test.yaml": f"apiVersion: pfgov/v1\nkind: PolicyTest\ncases:\n  - {{name: x, {case}}}\n",
            "fixtures/f.yaml": f"apiVersion: pfgov/v1\nkind: Fixtures\n{fixtures}",
        },
    )
    found = check_directory(tmp_path).problems
    assert [problem.code for problem in found] == [code], name
    assert said in f"{found[0].message} {found[0].hint}"

"""C2SP tlog-policy files: the quorum that they describe, and every line that is none."""

from itertools import combinations

import pytest

from pfgov_ledger import keys, note
from pfgov_ledger.tlog_policy import PolicyFileError, parse


def _vkey(name: str, role: str = "witness", number: int = 0) -> str:
    seed = bytes([number]) + name.encode().ljust(31, b".")[:31]
    return str(keys.vkey_of(keys.SeedSigner(role=role, name=name, seed=seed)))


X = [_vkey(f"x{n}.test/w") for n in range(3)]
Y = [_vkey(f"y{n}.test/w") for n in range(3)]
LOG = _vkey("log.test/one", "log")

EXAMPLE = f"""
# the example of the specification
log {LOG} https://log.test/one

witness X1 {X[0]}
 witness X2\t{X[1]} https://x2.test/
witness X3 {X[2]}
group X-witnesses 2 X1 X2 X3
witness Y1 {Y[0]}
witness Y2 {Y[1]}
witness Y3 {Y[2]}
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_policy_the_quorum_is_that_of_the_groups() -> None:
    """Some set of witnesses counts as enough and is not, or the other way round."""
    policy = parse(EXAMPLE)
    publics = {name: party.vkey.public for name, party in policy.witnesses.items()}
    for count in range(7):
        for chosen in combinations(sorted(publics), count):
            wanted = sum(n[0] == "X" for n in chosen) >= 2 and any(n[0] == "Y" for n in chosen)
            assert policy.is_met({publics[name] for name in chosen}) is wanted
    assert policy.witnesses["X2"].url == "https://x2.test/"
    assert [str(one.vkey) for one in policy.logs["log.test/one"]] == [LOG]


def test_policy_none_asks_for_nobody() -> None:
    """A policy without witnesses is refused, or is not met."""
    assert parse("quorum none\n").is_met(set())
    assert parse(f"witness a {X[0]}\nquorum a").is_met({note.parse_vkey(X[0]).public})
    assert not parse(f"witness a {X[0]}\nquorum a").is_met(set())


def test_policy_groups_in_groups_are_no_deeper_than_there_are_lines() -> None:
    """A file of groups, each in the next, is read, and asking whether its quorum is met ends in a mistake of ours."""
    chain = "".join(f"group g{n} all {f'g{n - 1}' if n else 'a'}\n" for n in range(990))
    policy = parse(f"witness a {X[0]}\n{chain}quorum g989")
    assert policy.is_met({note.parse_vkey(X[0]).public})
    assert not policy.is_met(set())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense\nquorum none",
        "quorum none\nquorum none",
        "quorum a",
        f"log {X[0]}\nquorum none",
        f"log {LOG}\nlog {LOG}\nquorum none",
        f"witness a {LOG}\nquorum none",
        f"witness a {X[0]}\nwitness a {X[1]}\nquorum a",
        f"witness a {X[0]}\nwitness b {X[0]}\nquorum a",
        f"witness none {X[0]}\nquorum none",
        f"witness a {X[0]} url more\nquorum a",
        f"witness a {X[0][:-4]}\nquorum a",
        f"witness a {X[0]}\ngroup g 0 a\nquorum g",
        f"witness a {X[0]}\ngroup g 2 a\nquorum g",
        f"witness a {X[0]}\ngroup g 01 a\nquorum g",
        f"witness a {X[0]}\ngroup g most a\nquorum g",
        f"witness a {X[0]}\ngroup g any\nquorum g",
        f"witness a {X[0]}\ngroup g all a a\nquorum g",
        f"witness a {X[0]}\ngroup g all a\ngroup h all a\nquorum h",
        f"group g all a\nwitness a {X[0]}\nquorum g",
        f"witness a {X[0]}\ngroup a all a\nquorum a",
        "\n" * 1_001 + "quorum none",
    ],
)
def test_policy_other_files_are_refused(text: str) -> None:
    """A line that means nothing, or something else than it says, is read over."""
    with pytest.raises(PolicyFileError):
        parse(text)

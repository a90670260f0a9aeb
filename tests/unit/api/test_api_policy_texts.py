"""Policy sets as texts that a person edits: what is shown of the difference, and what that costs."""

import difflib
import random
import time

from pfgov_api.console.policy_texts import LINES_MAX, lines_changed


def _plainly(old: str, new: str) -> list[tuple[str, str]]:
    found = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))[2:]
    return [("@", "") if line.startswith("@@") else (line[:1], line[1:]) for line in found]


def _put_together(changed: list[tuple[str, str]], sign: str) -> list[str]:
    return [line for mark, line in changed if mark in {" ", sign}]


def test_the_lines_that_are_shown_are_those_that_changed() -> None:
    """What texts begin and end with alike is left out, and with it a changed line, or those around one."""
    pick = random.Random(7)
    for _ in range(300):
        old = [pick.choice("abcde") * pick.choice((1, 3)) for _ in range(pick.randrange(0, 24))]
        new = list(old)
        for _ in range(pick.randrange(0, 4)):
            at = pick.randrange(len(new) + 1)
            new[at : at + pick.randrange(0, 3)] = [pick.choice("abcxyz")] * pick.randrange(0, 3)
        found = lines_changed("\n".join(old), "\n".join(new))
        assert found is not None
        assert bool(found) is (old != new)
        plain = _plainly("\n".join(old), "\n".join(new))
        assert len(_put_together(list(found), "-")) <= len(old)
        if len(set(old)) == len(old) and len(set(new)) == len(new):
            assert list(found) == plain
    old = [f"line {number}" for number in range(LINES_MAX)]
    new = [*old[:2_000], "another", *old[2_001:]]
    assert lines_changed("\n".join(old), "\n".join(new)) == [
        ("@", ""), (" ", "line 1998"), (" ", "line 1999"), ("-", "line 2000"), ("+", "another"),
        (" ", "line 2001"), (" ", "line 2002"),
    ]  # fmt: skip


def test_two_texts_of_many_lines_are_not_compared_for_seconds() -> None:
    """Texts of the same lines in another order take ten seconds of a thread in which others are answered."""
    kinds = 97
    old = [f"w{number % kinds}" for number in range(LINES_MAX)]
    new = [f"w{number * (kinds + 1) // 2 % kinds}" for number in range(LINES_MAX)]
    begun = time.process_time()
    assert lines_changed("\n".join(old), "\n".join(new)) is None
    assert lines_changed("\n".join(old[:1_000]), "\n".join(new[:1_000]))
    assert time.process_time() - begun < 2
    assert lines_changed("\n".join([*old, "x"]), "") is None

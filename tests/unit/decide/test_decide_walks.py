"""Walks through the rules come to what was written down: decisions, entries, refusals, what is due, and the state."""

import difflib
import itertools
from pathlib import Path

import pytest
from unit.decide.decide_walks import DATA, WALKS


@pytest.mark.parametrize("name", WALKS)
def test_decide_walks_come_to_what_was_written_down(name: str, tmp_path: Path) -> None:
    """A decision, an entry or the sentence of a refusal changed: recorded decisions would be made another way."""
    found, wanted = list(WALKS[name](tmp_path)), (DATA / f"{name}.txt").read_text().splitlines()
    if found != wanted:
        differing = difflib.unified_diff(wanted, found, "written", "found", lineterm="", n=0)
        pytest.fail("\n".join(line[:400] for line in itertools.islice(differing, 30)))

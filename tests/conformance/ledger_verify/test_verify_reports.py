"""What the verifier says is, word for word, what was written down."""

import difflib
import itertools

import pytest
from conformance.ledger_verify.verify_reports import DATA, FILES


@pytest.mark.parametrize("name", FILES)
def test_verify_reports_say_what_was_written_down(name: str) -> None:
    """A verdict, its position, or what a person reads about it is another one than it was."""
    found, wanted = list(FILES[name]()), (DATA / name).read_text().splitlines()
    if found != wanted:
        differing = difflib.unified_diff(wanted, found, "written", "found", lineterm="", n=0)
        pytest.fail("\n".join(line[:400] for line in itertools.islice(differing, 30)))

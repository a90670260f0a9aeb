"""Refusals about a change of policy: each says what to do next, wherever the source makes one."""

import ast
from pathlib import Path

import pytest

from pfgov.core import decide

HERE = Path(decide.__file__).parent


@pytest.mark.parametrize("name", ["change.py", "publishing.py"])
def test_a_refusal_says_what_to_do_next(name: str) -> None:
    """Somebody whose bundle, report, approval or activation is refused is not told what to do."""
    calls = [
        node
        for node in ast.walk(ast.parse((HERE / name).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith("Error")
    ]
    assert len(calls) > 4
    without = [
        ast.unparse(one) for one in calls if "hint" not in {word.arg for word in one.keywords}
    ]
    assert without == []

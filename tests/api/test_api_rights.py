"""Who may ask for what: the operations of the API let in whom the rules let in, and nobody else."""

import pytest

from pfgov.core import commands as c
from pfgov_api.operations import MEMBER
from pfgov_api.routes import OPERATIONS

ACTIONS = {one.__struct_config__.tag: one for one in c.Action.__subclasses__()}

LETS_IN = {
    "member": {MEMBER, "operator"},
    "submitter": {"submitter", "operator"},
    "reviewer": {"reviewer", "operator"},  # a rule may ask for either
}
"""Whom the right of an action lets in beside itself."""

SAME = [one for one in OPERATIONS if one.writes and one.name in ACTIONS]


def test_rights_there_is_something_to_compare() -> None:
    """Operations and actions are called differently, so that nothing is compared."""
    assert len(SAME) > 20


@pytest.mark.parametrize("operation", SAME, ids=lambda one: one.name)
def test_rights_of_an_operation_are_those_of_its_action(operation: object) -> None:
    """An operation lets in a scope that the rules refuse, or keeps out one that they allow."""
    right = ACTIONS[operation.name].right  # type: ignore[attr-defined]
    assert operation.access == LETS_IN.get(right, {right})  # type: ignore[attr-defined]

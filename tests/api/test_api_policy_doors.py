"""What can be done to policies through which door: the table ``docs/reference/policy-doors.md`` held to the doors."""

import re
from pathlib import Path

import click
import pytest

from pfgov.cli.frame import Nouns
from pfgov.cli.tree import root
from pfgov_api.console.actions import ACTIONS
from pfgov_api.console.site import PAGES
from pfgov_api.routes import OPERATIONS

PAGE = Path(__file__).parents[2] / "docs/reference/policy-doors.md"
TEXT = PAGE.read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| step")
]


def named(column: int) -> set[str]:
    """What a column names."""
    return {found for row in ROWS for found in re.findall("`([^`]+)`", row[column])}


def commands(group: Nouns, before: str) -> set[str]:
    """Every command below *group*, by its words."""
    found: set[str] = set()
    for name in group.list_commands(click.Context(group)):
        one = group.load(name)
        words = f"{before} {name}"
        found |= commands(one, words) if isinstance(one, Nouns) else {words}
    return found


def test_every_command_about_policies_is_in_the_table() -> None:
    """A command is not in the table, or the table names one that is not there."""
    policy = root.load("policy")
    assert isinstance(policy, Nouns)
    there = commands(policy, "policy")
    alone = set(re.findall("`(policy [^`]+)`", TEXT.rpartition("\n\n")[2]))
    assert named(1) - {"config set"} | alone == there
    assert named(1) & alone == set()


def test_every_operation_about_policies_is_in_the_table() -> None:
    """An operation is not in the table, or the table names one that is not there."""
    there = {one.name for one in OPERATIONS if one.tag == "policies"}
    assert named(2) == there | {"configure"}


def test_the_console_has_every_step_of_the_table() -> None:
    """A page or form of policies is not in the table, or the table names one that is not there."""
    pages = {one.path for one in PAGES if one.here == "policies"}
    forms = {f"do/{one.name}" for one in ACTIONS if one.here == "policies"}
    assert named(3) == pages | forms | {"do/configure"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_step_that_a_door_lacks_says_why(row: list[str]) -> None:
    """A step is missing at a door, and no note says why."""
    for cell in row[1:]:
        note = re.fullmatch(r"\((\d)\)", cell)
        assert re.fullmatch("`[^`]+`", cell) or (note and f"\n{note[1]}. " in TEXT), row

"""A small set of policies with what its tests name, and how its tests are run in the playground."""

from typing import Any

from support.console_look import wait

SET = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: near, version: "1"}
on: [place]
rules:
  - {id: eu, require: member.region == "eu"}
"""
FIXTURES = """apiVersion: pfgov/v1
kind: Fixtures
packets: {plain: {workload_type: w}}
members: {here: {region: eu}, far: {region: us}}
"""


def run_the_tests(page: Any, until: str) -> None:
    """Press the button until *until* is there: on a busy machine a run takes longer than the server lets it."""
    for _ in range(20):
        page.get_by_role("button", name="Run the tests").click()
        wait(page, f"document.querySelector({until!r}) || document.querySelector('[role=alert]')")
        if page.locator(until).count():
            return
        assert "policy.too_slow" in page.locator("[role=alert]").inner_text()
    raise AssertionError("the machine is too busy")

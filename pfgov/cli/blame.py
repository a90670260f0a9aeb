"""Which option an error is about: what is typed becomes a tree, and an error names a place in it.

Whoever typed ``--lease 0`` did not write ``lease_seconds``, and should be told about ``--lease``.  A place that came
from a file keeps its own name.  This module checks nothing itself.
"""

from typing import Final

import click
from click.core import ParameterSource

from pfgov.errors import PfgovError

OPTIONS: Final = (
    ("/id", "--id"),
    ("/packet_id", "--id"),
    ("/packet_id", "--packet"),
    ("/type", "--type"),
    ("/capabilities", "--capability"),
    ("/discovered", "--add-capability"),
    ("/withdrawn", "--drop-capability"),
    ("/cpu_capacity", "--cpu"),
    ("/memory_capacity", "--memory"),
    ("/capacity", "--capacity"),
    ("/region", "--region"),
    ("/clearances", "--clearance"),
    ("/trust_score", "--trust"),
    ("/lease_seconds", "--lease"),
    ("/handoff_mode", "--handoff-mode"),
    ("/weight", "--weight"),
    ("/labels", "--label"),
    ("/public_key", "--public-key"),
    ("/workload_type", "--workload"),
    ("/required_capabilities", "--needs"),
    ("/policy_constraints/minimum_trust_score", "--min-trust"),
    ("/policy_constraints/allowed_regions", "--region"),
    ("/policy_constraints/pii_review_required", "--pii-review"),
    ("/data_classes", "--data-class"),
    ("/demand", "--demand"),
    ("/priority", "--priority"),
    ("/scheduler", "--scheduler"),
    ("/deadline", "--deadline"),
    ("/max_handoffs", "--max-handoffs"),
    ("/progress_seconds", "--progress-seconds"),
    ("/again", "--again"),
    ("/context_checkpoint/step", "--step"),
    ("/context_checkpoint", "--context"),
    ("/context_checkpoint", "--file"),
    ("/member_id", "--as"),
    ("/member_id", "--for"),
    ("/incarnation", "--incarnation"),
    ("/epoch", "--epoch"),
    ("/handoff", "--handoff"),
    ("/view", "--view"),
    ("/target", "--to"),
    ("/reason", "--reason"),
    ("/note", "--note"),
    ("/expires_at", "--expires"),
    ("/until", "--until"),
    ("/owns", "--owns"),
    ("/pressure", "--pressure"),
    ("/subject", "--subject"),
    ("/range", "--range"),
    ("/since", "--since"),
)
"""The places of errors, and the options that fill them; the first that was typed counts."""


def name_option(error: PfgovError, context: click.Context) -> None:
    """Let *error* name the options that its problems are about, where they were typed, and begin with the first."""
    if not error.errors:
        return
    for problem in error.errors:
        named = _typed(problem.pointer, context)
        if named is not None:
            error.named[problem.pointer] = named
    pointer = error.errors[0].pointer
    option = _typed(pointer, context)
    if option is None or option in error.message:
        return
    field = pointer[1:].replace("/", ".")
    said = error.message.removeprefix(f"{field}: ")
    error.message = f"{option}: {said}"


def _typed(pointer: str, context: click.Context) -> str | None:
    typed = {
        text
        for one in context.command.params
        if one.name and context.get_parameter_source(one.name) is ParameterSource.COMMANDLINE
        for text in one.opts
    }
    for place, option in OPTIONS:
        if option in typed and (pointer == place or pointer.startswith(f"{place}/")):
            return option
    return None

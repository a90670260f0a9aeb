"""``pfgov policy``: write, check, test and try policies.  No ledger is needed.

Thin: every verb calls one function of :mod:`pfgov.policy` and shows what it returned.  Making a set
binding is in :mod:`pfgov.cli.policy_active`, which adds its verbs to this group.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.cli.output import facts, status, table
from pfgov.cli.policy_sets import NotRead, against_option, asked
from pfgov.cli.policy_tests import outcome_lines, outcome_result
from pfgov.cli.writing import put
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.core.policy_port import Question
    from pfgov.policy import PolicySet
    from pfgov.policy.authoring.explain import Explanation

policy: Final = Nouns(
    "policy",
    help="Write, test and activate policies.\n\n"
    "A policy is a YAML file with rules in CEL; its tests stand beside it. Nothing takes effect before "
    "it is activated.",
    examples=("pfgov policy init policies", "pfgov policy test policies --coverage --min 100"),
    then="make them binding: pfgov policy activate policies",
)
"""The group."""

POINTS: Final = (
    "register", "assign", "handoff", "accept", "retain", "export",
    "submit", "update", "update_member", "review", "complete", "activate",
)  # fmt: skip

folder = click.argument("folder", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
"""The folder of policies; the present one by default."""

principal_option = click.option(
    "--principal", metavar="FILE[#NAME]", help="Who asks; an operator by default."
)
now_option = click.option(
    "--now", metavar="TIME", help="The time of the decision, in RFC 3339; now by default."
)


@verb(
    policy,
    "init",
    examples=("pfgov policy init policies", "pfgov policy init eu --pack eu-residency"),
    then="change them, then: pfgov policy test policies",
    files=FILES,
)
@click.argument("target", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--pack", default="starter", show_default=True, help="Which shipped policies to copy."
)
def init(output: Output, target: Path, pack: str) -> int:
    """Copy a shipped set of policies, with tests and fixtures, to begin with."""
    from pfgov.policy.authoring.scaffold import make
    from pfgov.policy.load import shipped_names

    made = make(target, pack)
    output.show(
        {"directory": str(target), "pack": pack, "files": [str(path) for path in made]},
        f"wrote {counted(len(made), 'file')} to {target}",
        *[f"  {path.relative_to(target)}" for path in made],
        f"other packs: {', '.join(name for name in shipped_names() if name != pack)}",
        f"next:  pfgov policy test {target}",
    )
    return 0


@verb(
    policy,
    "check",
    examples=("pfgov policy check policies",),
    then="run their tests: pfgov policy test policies",
    files=FILES,
)
@folder
def check(output: Output, folder: Path) -> int:
    """Say everything that is wrong or doubtful: shape, names, types, cost, unused and shadowed rules.

    Exits 0 if nothing is, 1 with warnings only, 3 if the policies or their tests do not compile.
    """
    from pfgov.core.coverage import coverage_of
    from pfgov.policy.authoring.checking import check_directory

    found = check_directory(folder)
    compiled, not_read = found.policies, NotRead(found.unread)
    result: dict[str, Any] = {
        "ok": not found.problems,
        "digest": compiled.digest if compiled else None,
        "policies": [list(item) for item in compiled.policies] if compiled else [],
        "coverage": coverage_of(compiled.points).view() if compiled else None,
        "problems": [problem.as_dict() for problem in found.problems],
        "unread": not_read.result(),
    }
    lines = [problem.as_text() for problem in found.problems]
    errors, warnings = len(found.errors), len(found.problems) - len(found.errors)
    said = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    summary = said if found.problems else "nothing to say"
    _tell(output, result, [*lines, *not_read.lines(), summary, *_summary(compiled)])
    return found.exit_status


def _tell(output: Output, result: dict[str, Any], lines: Sequence[Any]) -> None:
    """Show *result*; lines are never broken, so that a terminal and an editor can follow places."""
    if output.json:
        output.emit(result)
        return
    for line in lines:
        if isinstance(line, str):
            output.out.print(line, soft_wrap=True)
        else:
            output.tell(line)


def _summary(compiled: "PolicySet | None") -> list[Any]:
    from pfgov.core.coverage import coverage_of

    if compiled is None:
        return []
    names = [f"{name} {version} ({mode})" for name, version, mode in compiled.policies]
    covered = coverage_of(compiled.points)
    rows = (("policies", names), *coverage_rows(covered.view()), ("digest", compiled.digest))
    return [facts(rows)]


def coverage_rows(view: Mapping[str, Any]) -> tuple[tuple[str, list[str]], ...]:
    """Return what people are told of where a set asks, as :class:`~pfgov.core.coverage.Coverage` shows it."""
    return (
        ("decision points", view["covered"]),
        ("denied for want of a policy", view["closed"]),
        ("left to rights alone", view["left_to_rights"]),
    )


@verb(
    policy,
    "test",
    examples=("pfgov policy test policies", "pfgov policy test policies --coverage --min 100"),
    then="try one decision: pfgov policy eval --help",
)
@folder
@click.option("--only", metavar="TEXT", help="Only files, cases and policies that contain this.")
@click.option(
    "--coverage",
    is_flag=True,
    help="Say which outcomes of which rules were never seen, and where.",
)
@click.option(
    "--min", "least", type=click.IntRange(0, 100), metavar="N", help="Fail below this coverage."
)
@click.option(
    "--min-points",
    "least_points",
    type=click.IntRange(0, 100),
    metavar="N",
    help="Fail if less than this share of the rules' points was asked.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit XML, too.",
)
@click.option(
    "--against",
    metavar="binding|DIR|BUNDLE|DIGEST",
    help="Try another policy set than the folder's: the binding one, a folder's, a signed bundle's, a recorded one.",
)
def test(
    output: Output,
    folder: Path,
    only: str | None,
    coverage: bool,
    least: int | None,
    least_points: int | None,
    junit: Path | None,
    against: str | None,
) -> int:
    """Run the tests beside the policies: cases, and properties on generated inputs.

    Exits 0 if all pass, 1 if one fails or coverage is too low, 3 if something does not compile.
    """
    from pfgov.policy.authoring.testing.junit import junit as as_junit
    from pfgov.policy.authoring.testing.runner import run_directory

    chosen = None if against is None else asked(output, against)
    report = run_directory(folder, only=only, against=chosen.policies if chosen else None)
    if junit is not None:
        put(junit, as_junit(report).encode(), is_public=True)
    enough = least is None or report.coverage.is_at_least(least)
    enough = enough and (least_points is None or report.coverage.asks_at_least(least_points))
    named = {"policy": report.digest, "against": chosen.name if chosen else str(folder)}
    asked_of = f"asked: {named['against']}, policy set {report.digest[:12]}"
    lines = [*outcome_lines(report, least, least_points, shown=coverage), asked_of]
    _tell(output, {**outcome_result(report, enough), **named}, lines)
    return int(bool(report.failed) or not enough)


# --- single decisions -----------------------------------------------------------------------


@verb(
    policy,
    "eval",
    examples=(
        "pfgov policy eval --packet packet.json --member member.json --explain",
        "pfgov policy eval --packet fixtures/packets.yaml#plain --member fixtures/members.yaml#good",
        "pfgov policy eval --action update --packet changed.json --before packet.json",
    ),
    then="ask about a whole fleet: pfgov policy who --help",
)
@click.option("--packet", metavar="FILE[#NAME]", help="The packet, in YAML or JSON.")
@click.option("--member", metavar="FILE[#NAME]", help="The member.")
@click.option("--source", metavar="FILE[#NAME]", help="The last owner, on a handoff.")
@click.option(
    "--before",
    metavar="FILE[#NAME]",
    help="At update and update_member: the packet, or the member, as it is; the same by default.",
)
@click.option("--review", metavar="FILE", help="At review: the facts of the review.")
@click.option("--export", metavar="FILE", help="At export: the facts of the export.")
@click.option("--activation", metavar="FILE", help="At activate: the facts of the set.")
@principal_option
@click.option("--reason", metavar="TEXT", help="Why; what the engine would say by default.")
@click.option("--action", type=click.Choice(POINTS), default="assign", show_default=True)
@now_option
@against_option
@click.option("--explain", is_flag=True, help="Show every rule with the value of every part.")
def evaluate(  # noqa: PLR0917 - click passes each option by its name
    output: Output,
    packet: str | None,
    member: str | None,
    source: str | None,
    before: str | None,
    review: str | None,
    export: str | None,
    activation: str | None,
    principal: str | None,
    reason: str | None,
    action: str,
    now: str | None,
    against: str | None,
    explain: bool,
) -> int:
    """Take one decision that is not recorded: may this member own this packet?

    With --action it is any other decision, with the facts that there are at that point.
    It is what the engine would decide under that set: obligations that it cannot carry out and shadow mode included.

    Exits 0 if it may, 1 if it may not or somebody must agree first.
    """
    from pfgov.policy.authoring import asking
    from pfgov.policy.authoring.explain import explain as in_full

    named = {
        "packet": packet, "member": member, "source": source,
        "before": before, "review": review, "export": export, "activation": activation,
    }  # fmt: skip
    _needed(action, named)
    question = _question(action, named, principal, reason, now)
    facts = asking.read_one(member, "member") if member else {}
    question = asking.with_more(question, facts, before)
    chosen = asked(output, against)
    found = in_full(chosen.policies, question, facts)
    result = {**found.as_dict(), **chosen.result()}
    bare = _left_to_rights(action, chosen.policies.points)
    _tell(output, result, [*_decision(found, explain=explain), *bare, chosen.line()])
    return int(found.verdict.outcome != "allow")


def _question(
    action: str,
    named: "Mapping[str, str | None]",
    principal: str | None,
    reason: str | None,
    now: str | None,
) -> "Question":
    """Return the question that options ask; the present time where none is named."""
    from pfgov.clock import SystemClock
    from pfgov.policy.authoring import asking

    packet, source = named.get("packet"), named.get("source")
    return asking.ask(
        action,
        packet=asking.read_one(packet, "packet") if packet else None,
        source=asking.read_one(source, "source") if source else None,
        principal=asking.read_one(principal, "principal") if principal else None,
        reason=reason,
        now=asking.moment(now) if now else SystemClock().now(),
        more=asking.read_more(action, named),
    )


def _left_to_rights(action: str, points: Iterable[str]) -> list[str]:
    """Return what an allowance means where no policy is asked."""
    from pfgov.core.coverage import coverage_of

    if action not in coverage_of(tuple(points)).left_to_rights:
        return []
    return [f"no policy in force covers {action}: whoever has the right may, and nobody else"]


def _needed(action: str, named: "Mapping[str, str | None]") -> None:
    """Refuse facts that the decision has not, and the lack of those without which there is nothing to decide."""
    from pfgov.policy.authoring.asking import takes

    has, needs = takes(action)
    for name, given in named.items():
        if (given is None and name in needs) or (given is not None and name not in has):
            message = f"a decision at {action} {'needs' if given is None else 'has no'} --{name}"
            raise click.UsageError(message, click.get_current_context())


def _decision(found: "Explanation", *, explain: bool) -> list[Any]:
    lines: list[Any] = [status(found.verdict.outcome)]
    for reason in found.verdict.reasons:
        seen = f"  (has {reason.observed}, bound {reason.bound})" if reason.bound else ""
        if reason.bound is not None and reason.bound == reason.observed:
            seen = f"  (has {reason.observed})"
        if f"(observed {reason.observed}" in reason.message:
            seen = ""  # a rule without a message of its own says it already
        lines.append(f"  {reason.name}: {reason.message}{seen}")
    lines += [
        f"  with the obligation {item.type} {', '.join(item.paths) or item.to or ''}".rstrip()
        for item in found.verdict.obligations
    ]
    lines += [f"  shadow {reason.name}: {reason.message}" for reason in found.verdict.shadow]
    if found.nearest:
        lines.append(found.nearest)
    for rule in found.rules if explain else ():
        lines += ["", f"{rule.name}: {rule.status}"]
        lines += [f"  {'  ' * step.depth}{step.text} = {step.value}" for step in rule.steps]
    return lines


@verb(
    policy,
    "who",
    examples=("pfgov policy who --packet packet.json --members fleet.yaml",),
    then="why in full: pfgov policy eval --explain --help",
)
@click.option("--packet", metavar="FILE[#NAME]", required=True, help="The packet.")
@click.option("--members", metavar="FILE", required=True, help="A list of members, or fixtures.")
@click.option("--source", metavar="FILE[#NAME]", help="The last owner, on a handoff.")
@click.option(
    "--action",
    type=click.Choice(("assign", "handoff", "accept", "retain")),
    default="assign",
    show_default=True,
)
@principal_option
@now_option
@against_option
@click.option("--explain", is_flag=True, help="Show every rule for every member.")
def who(  # noqa: PLR0917 - click passes each option by its name
    output: Output,
    packet: str,
    members: str,
    source: str | None,
    action: str,
    principal: str | None,
    now: str | None,
    against: str | None,
    explain: bool,
) -> int:
    """Say of every member whether it may own the packet, or what each failing rule saw.

    Exits 0 if at least one may, else 1.
    """
    from pfgov.policy.authoring import asking
    from pfgov.policy.authoring.explain import explain as in_full
    from pfgov.policy.authoring.explain import nearest_of_each_kind

    question = _question(action, {"packet": packet, "source": source}, principal, None, now)
    fleet = asking.read_many(members, "member")
    chosen = asked(output, against)
    every = {name: in_full(chosen.policies, question, facts) for name, facts in fleet}
    allowed = [name for name, found in every.items() if found.verdict.outcome == "allow"]
    result = {
        "eligible": allowed,
        "members": [
            {"member": name, **found.as_dict(rules=explain)} for name, found in every.items()
        ],
        **chosen.result(),
    }
    parts: list[Any] = [
        table(("!member", "decision", "why", "eligible with"), map(_row, every.items()))
    ]
    if explain:
        parts = [
            line
            for name, found in every.items()
            for line in (f"{name}:", *_decision(found, explain=True), "")
        ]
    verb_ = "is" if len(allowed) == 1 else "are"
    parts.append(f"{len(allowed)} of {len(fleet)} {verb_} eligible")
    if not allowed:
        near = nearest_of_each_kind(every)
        parts += [f"nearest: {name} {every[name].nearest}" for name in near]
    output.show(result, *parts, chosen.line())
    return int(not allowed)


def _row(named: "tuple[str, Explanation]") -> list[Any]:
    name, found = named
    why = [f"{reason.name}: {reason.message}" for reason in found.verdict.reasons]
    why += [f"shadow {reason.name}: {reason.message}" for reason in found.verdict.shadow]
    miss = "; ".join(change.sentence for change in found.changes or ())
    return [name, status(found.verdict.outcome), "; ".join(why), miss]


# --- files ----------------------------------------------------------------------------------


@verb(
    policy,
    "fmt",
    examples=("pfgov policy fmt policies", "pfgov policy fmt policies --check"),
    then="pfgov policy check policies",
    files=FILES,
)
@folder
@click.option(
    "--check", "only_check", is_flag=True, help="Change nothing; exit 1 if something would be."
)
def fmt(output: Output, folder: Path, only_check: bool) -> int:
    """Bring policy, test and fixture files into their canonical form; comments stay."""
    from pfgov.policy.authoring.formatting import format_directory

    changed = format_directory(folder, write=not only_check)
    word = "would change" if only_check else "changed"
    output.show(
        {"changed": [str(path) for path in changed]},
        *[f"{word} {path}" for path in changed],
        f"{counted(len(changed), 'file')} {word}",
    )
    return int(only_check and bool(changed))


@verb(
    policy,
    "schema",
    examples=("pfgov policy schema Policy", "pfgov policy schema --out .schemas"),
    then="tell your editor: # yaml-language-server: $schema=.schemas/policy.schema.json",
    files=FILES,
)
@click.argument("kind", required=False, metavar="[KIND]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write all schemas there.",
)
def schema(output: Output, kind: str | None, out: Path | None) -> int:
    """Print the JSON Schema of Policy, Definitions, Labels, PolicyTest or Fixtures files, or of a Packet.

    The same files are in the installed package, in pfgov/schemas.
    """
    from pfgov.app.schemas import schemas, write

    if out is not None:
        written = write(out)
        output.show({"files": [str(path) for path in written]}, *[f"wrote {p}" for p in written])
        return 0
    known = schemas()
    if kind is None or kind not in known:
        raise click.UsageError(f"name a kind: {', '.join(known)}", click.get_current_context())
    output.emit(known[kind])
    return 0

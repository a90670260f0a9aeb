"""``pfgov policy``: write, check, test and try policies.  No ledger is needed.

Thin: every verb calls one function of :mod:`pfgov.policy` and shows what it returned.  Making a set
binding is in :mod:`pfgov.cli.policy_active`, which adds its verbs to this group.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import FILES, Nouns, Screen, verb
from pfgov.cli.screen import facts, status, table

if TYPE_CHECKING:
    from pfgov.policy import PolicySet, Problem
    from pfgov.policy.explain import Explanation
    from pfgov.policy.testing.runner import Report

policy: Final = Nouns(
    "policy",
    help="Write, test and activate policies.\n\n"
    "A policy is a YAML file with rules in CEL; its tests stand beside it. Nothing takes effect before "
    "it is activated.",
    examples=("pfgov policy init policies", "pfgov policy test policies --coverage --min 100"),
    then="make them binding: pfgov policy activate policies",
)
"""The group."""

_POINTS: Final = ("register", "assign", "handoff", "accept", "retain", "export")

folder = click.argument("folder", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
"""The folder of policies; the present one by default."""

policies_option = click.option(
    "--policies",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The policies to ask; the starter set by default.",
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
def init(screen: Screen, target: Path, pack: str) -> int:
    """Copy a shipped set of policies, with tests and fixtures, to begin with."""
    from pfgov.policy.load import shipped_names
    from pfgov.policy.scaffold import make

    made = make(target, pack)
    screen.show(
        {"directory": str(target), "pack": pack, "files": [str(path) for path in made]},
        f"wrote {len(made)} files to {target}",
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
def check(screen: Screen, folder: Path) -> int:
    """Say everything that is wrong or doubtful: shape, names, types, cost, unused and shadowed rules.

    Exits 0 if nothing is, 1 with warnings only, 3 if the policies or their tests do not compile.
    """
    from pfgov.policy.checking import check_directory

    found = check_directory(folder)
    compiled = found.policies
    result: dict[str, Any] = {
        "ok": not found.problems,
        "digest": compiled.digest if compiled else None,
        "policies": [list(item) for item in compiled.policies] if compiled else [],
        "problems": [problem.as_dict() for problem in found.problems],
    }
    lines = [_problem(problem) for problem in found.problems]
    errors, warnings = len(found.errors), len(found.problems) - len(found.errors)
    summary = f"{errors} errors, {warnings} warnings" if found.problems else "nothing to say"
    _tell(screen, result, [*lines, summary, *_summary(compiled)])
    return found.exit_status


def _tell(screen: Screen, result: dict[str, Any], lines: Sequence[Any]) -> None:
    """Show *result*; lines are never broken, so that a terminal and an editor can follow places."""
    if screen.json:
        screen.emit(result)
        return
    for line in lines:
        screen.out.print(line, soft_wrap=isinstance(line, str))


def _problem(problem: "Problem") -> str:
    where = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    hint = f"\n    {problem.hint}" if problem.hint else ""
    return f"{where}: {problem.severity}: {problem.message} [{problem.code}]{hint}"


def _summary(compiled: "PolicySet | None") -> list[Any]:
    if compiled is None:
        return []
    names = [f"{name} {version} ({mode})" for name, version, mode in compiled.policies]
    points = [point for point in _POINTS if point in compiled.points]
    bare = [point for point in _POINTS if point not in compiled.points]
    rows = (
        ("policies", names),
        ("decision points", points),
        ("denied for want of a policy", bare),
        ("digest", compiled.digest),
    )
    return [facts(rows)]


@verb(
    policy,
    "test",
    examples=("pfgov policy test policies", "pfgov policy test policies --coverage --min 100"),
    then="try one decision: pfgov policy eval --help",
    files=FILES,
)
@folder
@click.option("--only", metavar="TEXT", help="Only files, cases and policies that contain this.")
@click.option("--coverage", is_flag=True, help="Say which outcomes of which rules were never seen.")
@click.option(
    "--min", "least", type=click.IntRange(0, 100), metavar="N", help="Fail below this coverage."
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit XML, too.",
)
def test(
    screen: Screen,
    folder: Path,
    only: str | None,
    coverage: bool,
    least: int | None,
    junit: Path | None,
) -> int:
    """Run the tests beside the policies: cases, and properties on generated inputs.

    Exits 0 if all pass, 1 if one fails or coverage is too low, 3 if something does not compile.
    """
    from pfgov.policy.testing.junit import junit as as_junit
    from pfgov.policy.testing.runner import run_directory

    report = run_directory(folder, only=only)
    if junit is not None:
        junit.write_text(as_junit(report), encoding="utf-8")
    enough = least is None or report.coverage.is_at_least(least)
    _tell(screen, _test_result(report, enough), _test_lines(report, least, shown=coverage))
    return int(bool(report.failed) or not enough)


def _test_result(report: "Report", enough: bool) -> dict[str, Any]:
    return {
        "ok": not report.failed and enough,
        "passed": len(report.results) - len(report.failed),
        "failed": [
            {
                "file": item.file,
                "line": item.line,
                "case": item.case,
                "member": item.member,
                "problem": item.problem,
                "details": list(item.details),
            }
            for item in report.failed
        ],
        "coverage": {
            "seen": report.coverage.reached,
            "wanted": len(report.coverage.wanted),
            "missed": [str(target) for target in report.coverage.missed],
        },
    }


def _test_lines(report: "Report", least: int | None, *, shown: bool) -> list[str]:
    lines: list[str] = []
    for item in report.failed:
        who = f": {item.member}" if item.member else ""
        lines.append(f"{item.file}:{item.line}: {item.case}{who}")
        lines.append(f"    {item.problem}")
        lines += [f"    {detail}" for detail in item.details]
    lines.append(f"{len(report.results)} checks, {len(report.failed)} failed")
    if shown or least is not None:
        found = report.coverage
        lines += [str(target) for target in found.missed]
        lines.append(f"coverage: {found.reached} of {len(found.wanted)} outcomes seen")
        if least is not None and not found.is_at_least(least):
            lines.append(f"that is less than {least} %")
    return lines


# --- single decisions -----------------------------------------------------------------------


@verb(
    policy,
    "eval",
    examples=(
        "pfgov policy eval --packet packet.json --member member.json --explain",
        "pfgov policy eval --packet fixtures/packets.yaml#plain --member fixtures/members.yaml#good",
    ),
    then="ask about a whole fleet: pfgov policy who --help",
    files=FILES,
)
@click.option("--packet", metavar="FILE[#NAME]", help="The packet, in YAML or JSON.")
@click.option("--member", metavar="FILE[#NAME]", help="The member.")
@click.option("--source", metavar="FILE[#NAME]", help="The last owner, on a handoff.")
@click.option("--principal", metavar="FILE[#NAME]", help="Who asks; an operator by default.")
@click.option("--action", type=click.Choice(_POINTS), default="assign", show_default=True)
@click.option("--now", metavar="TIME", help="The time of the decision, in RFC 3339.")
@policies_option
@click.option("--explain", is_flag=True, help="Show every rule with the value of every part.")
def evaluate(  # noqa: PLR0917 - click passes each option by its name
    screen: Screen,
    packet: str | None,
    member: str | None,
    source: str | None,
    principal: str | None,
    action: str,
    now: str | None,
    policies: Path | None,
    explain: bool,
) -> int:
    """Take one decision that is not recorded: may this member own this packet?

    Exits 0 if it may, 1 if it may not or somebody must agree first.
    """
    from pfgov.policy import asking
    from pfgov.policy.explain import explain as in_full

    _needed(action, packet, member)
    question = asking.ask(
        action,
        packet=asking.read_one(packet, "packet") if packet else None,
        source=asking.read_one(source, "source") if source else None,
        principal=asking.read_one(principal, "principal") if principal else None,
        now=asking.moment(now) if now else 0,
    )
    found = in_full(
        _policies(policies), question, asking.read_one(member, "member") if member else {}
    )
    _tell(screen, found.as_dict(), _decision(found, explain=explain))
    return int(found.verdict.outcome != "allow")


def _needed(action: str, packet: str | None, member: str | None) -> None:
    wants_packet = action not in {"register", "export"}
    context = click.get_current_context()
    if wants_packet != (packet is not None):
        word = "needs" if wants_packet else "has no"
        raise click.UsageError(f"a decision at {action} {word} --packet", context)
    if (action != "export") != (member is not None):
        word = "needs" if action != "export" else "has no"
        raise click.UsageError(f"a decision at {action} {word} --member", context)


def _policies(folder: Path | None) -> "PolicySet":
    from pfgov.policy import load_directory, load_starter

    return load_starter() if folder is None else load_directory(folder)


def _binding(screen: Screen) -> "PolicySet":
    """Return the set that is binding where the server is."""
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        return book.policy_set()


def _decision(found: "Explanation", *, explain: bool) -> list[Any]:
    lines: list[Any] = [status(found.verdict.outcome)]
    for reason in found.verdict.reasons:
        seen = f"  (has {reason.observed}, bound {reason.bound})" if reason.bound else ""
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
@policies_option
def who(
    screen: Screen,
    packet: str,
    members: str,
    source: str | None,
    action: str,
    policies: Path | None,
) -> int:
    """Say of every member whether it may own the packet, or what each failing rule saw.

    With --url the set that is binding there is asked, unless --policies names another.

    Exits 0 if at least one may, else 1.
    """
    from pfgov.policy import asking
    from pfgov.policy.explain import verdict_dict
    from pfgov.policy.nearmiss import nearest_miss

    compiled = _binding(screen) if policies is None and screen.url else _policies(policies)
    question = asking.ask(
        action,
        packet=asking.read_one(packet, "packet"),
        source=asking.read_one(source, "source") if source else None,
    )
    fleet = asking.read_many(members, "member")
    verdicts = compiled.judge(question, [member for _, member in fleet])
    rows: list[list[Any]] = []
    result: list[dict[str, Any]] = []
    for (name, member), verdict in zip(fleet, verdicts, strict=True):
        changes = nearest_miss(compiled, question, member) or ()
        miss = "; ".join(change.sentence for change in changes)
        why = "\n".join(f"{reason.name}: {reason.message}" for reason in verdict.reasons)
        rows.append([name, status(verdict.outcome), why, miss])
        result.append({"member": name, **verdict_dict(verdict), "nearest_miss": miss or None})
    allowed = [
        name
        for (name, _), verdict in zip(fleet, verdicts, strict=True)
        if verdict.outcome == "allow"
    ]
    screen.show(
        {"eligible": allowed, "members": result, "policy": compiled.digest},
        table(("member", "decision", "why", "eligible with"), rows),
        f"{len(allowed)} of {len(fleet)} are eligible",
    )
    return int(not allowed)


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
def fmt(screen: Screen, folder: Path, only_check: bool) -> int:
    """Bring policy, test and fixture files into their canonical form; comments stay."""
    from pfgov.policy.formatting import format_directory

    changed = format_directory(folder, write=not only_check)
    word = "would change" if only_check else "changed"
    screen.show(
        {"changed": [str(path) for path in changed]},
        *[f"{word} {path}" for path in changed],
        f"{len(changed)} files {word}",
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
def schema(screen: Screen, kind: str | None, out: Path | None) -> int:
    """Print the JSON Schema of Policy, Definitions, PolicyTest or Fixtures files."""
    from pfgov.policy.schema import schemas, write_schemas

    if out is not None:
        written = write_schemas(out)
        screen.show({"files": [str(path) for path in written]}, *[f"wrote {p}" for p in written])
        return 0
    known = schemas()
    if kind is None or kind not in known:
        raise click.UsageError(f"name a kind: {', '.join(known)}", click.get_current_context())
    screen.emit(known[kind])
    return 0

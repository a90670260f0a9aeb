"""What was found of a signed report of impact, for people and as JSON.

The verdicts are made elsewhere (:mod:`pfgov_ledger.impact`); what the file says is escaped, for it must not steer a
terminal.
"""

import json
from typing import Final

from pfgov_ledger import impact, report
from pfgov_ledger.escaping import shown
from pfgov_ledger.impact import About, Vouched
from pfgov_ledger.verdicts import WHY, Status, Verdict

VERSION: Final = 1

_EXPLANATIONS: Final = {
    cls.code: (cls.__doc__ or "").split("\n", 1)[0]
    for cls in (
        impact.ImpactAlteredError,
        impact.ImpactDiffersError,
        impact.ImpactLedgerError,
        impact.ImpactRangeError,
        impact.ImpactSetError,
        impact.ImpactSignerError,
    )
}


def dumps(found: Vouched) -> str:
    """The JSON text: ASCII without control characters."""
    about, signer = found.about, found.signer
    value: dict[str, object] = {
        "impact": VERSION,
        "exit_status": found.exit_status,
        "required": list(found.required),
        "verdicts": {name: _plain(verdict) for name, verdict in found.verdicts.items()},
        "about": None
        if about is None
        else {
            "origin": about.origin,
            "first": about.first,
            "size": about.size,
            "root": about.root,
            "sample": about.sample,
            "binding": about.binding,
            "proposed": about.proposed,
        },
        "key": found.key,
        "signer": None
        if signer is None
        else {"name": signer[0], "entry": signer[1], "standing": found.standing},
        "activations": list(found.rests),
        "export": None if found.export is None else found.export.to_json(),
    }
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n"


def _plain(verdict: Verdict) -> dict[str, object]:
    if verdict.status is Status.FAIL:
        return {
            "status": "fail",
            "code": verdict.code,
            "position": verdict.position,
            "expected": verdict.expected,
            "found": verdict.found,
        }
    if verdict.status is Status.NOT_CHECKED:
        return {"status": "not_checked", "why": verdict.why}
    return {"status": verdict.status.value}


def to_text(found: Vouched) -> str:
    """The same for people: what it is about, a line for each verdict, whose key signed it, and what follows."""
    lines = [_headline(found.about)]
    for name, verdict in found.verdicts.items():
        lines += _lines(name, verdict, is_required=name in found.required)
    if found.key is not None:
        lines.append(f"  {'signed by':<12} {_signed_by(found)}")
    lines += [f"  {'rested on':<12} by the activation in entry {seq}" for seq in found.rests]
    lines.append(_conclusion(found))
    return "".join(f"{shown(line)}\n" for line in lines)


def _headline(about: About | None) -> str:
    if about is None:
        return "nothing that could be read as a signed report of impact"
    asked = "every command" if about.sample == 1 else f"one command in {about.sample}"
    instead = "no set" if about.binding is None else f"set {about.binding[:12]}"
    return (
        f"{about.origin}: set {about.proposed[:12]} in the place of {instead}, asked at {asked} "
        f"of entries {about.first} to {about.size - 1}"
    )


def _signed_by(found: Vouched) -> str:
    if found.signer is None:
        return f"the key {found.key}, which the ledger does not know"
    name, entry = found.signer
    return f"{name}, whose key {found.key} is in entry {entry} and {found.standing}"


def _lines(name: str, verdict: Verdict, *, is_required: bool) -> list[str]:
    title = f"  {name:<12} "
    if verdict.status is Status.PASS:
        return [f"{title}pass"]
    if verdict.status is not Status.FAIL:
        needed = " (required)" if is_required else ""
        why = verdict.why or ""
        return [f"{title}not checked{needed}: {impact.WHY.get(why) or WHY.get(why) or why}"]
    where = "" if verdict.position is None else f" at {verdict.position}"
    lines = [f"{title}FAIL  {verdict.code}{where}: {_explained(verdict)}"]
    if verdict.expected is not None or verdict.found is not None:
        lines += [f"{'':15}expected {verdict.expected}", f"{'':15}found    {verdict.found}"]
    return lines


def _explained(verdict: Verdict) -> str:
    code = verdict.code or ""
    return _EXPLANATIONS.get(code) or report.explain(code) or verdict.detail or ""


def _conclusion(found: Vouched) -> str:
    for verdict in found.verdicts.values():
        if verdict.status is Status.FAIL:
            return f"FAILED: {verdict.code}: {_explained(verdict)}"
    if found.exit_status == 0:
        return "PASSED"
    left = [name for name in found.required if found.verdicts[name].status is not Status.PASS]
    return f"NOT ESTABLISHED: {', '.join(left)} could not be checked"

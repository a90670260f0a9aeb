"""``docs/reference/limits.md``: every bound with its value, what it is for, what happens beyond it, how to change it.

Values and sentences are read from the modules that define the bounds, so that the page cannot disagree with the code;
what happens beyond a bound is written here, and a bound without that sentence has its module's.
"""

import ast
import importlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {
    "pfgov": Path("pfgov"),
    "pfgov_api": Path("api/pfgov_api"),
    "pfgov_ledger": Path("ledger/pfgov_ledger"),
}
ROOT = Path(__file__).parents[2]
ENDINGS = ("_MAX", "_MIN", "_UNITS", "_SECONDS", "_BYTES", "_KEPT", "_EVERY")


@dataclass(frozen=True)
class Area:
    """The bounds of one module: their heading, what happens beyond them, how they are changed, and exceptions."""

    module: str
    title: str
    beyond: str
    change: str
    special: dict[str, str] = field(default_factory=dict)


CODE = "no setting: it is part of what a ledger may hold"
AREAS = (
    Area(
        "pfgov.limits",
        "What a ledger, its packets and its members may be",
        "refused at the border with 400 or exit status 2, naming the field",
        CODE,
        {
            "MEMBERS_MAX": "`member.too_many`; members that retired do not count: retire who will not come back",
            "LIVE_PACKETS_MAX": "`packet.too_many`; packets that ended do not count",
            "PREVIOUS_OWNERS_MAX": "the oldest are left out of the packet; the ledger has all",
            "REVIEWS_PER_PACKET_MAX": "the oldest review on record counts no more",
            "NEAREST_LOSERS_MAX": "left out of the entry; the verdict table has all",
            "REASONS_PER_LOSER_MAX": "left out of the entry; the verdict table has all",
            "REJECTED_RULES_MAX": "left out of the entry; the verdict table has all",
            "REASONS_MAX": "left out of the entry; the verdict table has all",
            "ESCALATING_RULES_MAX": "the policy set does not load",
            "OBLIGATION_BYTES_MAX": "the policy set does not load",
            "POLICIES_MAX": "the policy set does not load",
            "ACTION_BYTES_MAX": "refused at the border although each field alone would do",
            "LAPSED_SHOWN_MAX": "the others are not named",
            "REVIEW_CANDIDATES_MAX": "the review holds for the first ones, by id; another one is asked for",
            "REVIEW_FACTS_MAX": "`review.too_many_facts`, and nothing is granted",
            "SCANNED_MAX": "the page is short and says where to go on",
            "WORKLOAD_SCHEDULERS_MAX": "`input.too_large`, and nothing changes",
            "QUEUE_MAX": "`engine.busy`, 503: come back; `Options.queue_max`",
            "BATCH_MAX": "the rest goes into the next commit; `Options.batch_max`",
            "CLOCK_IDLE_MAX": "`clock.ahead`; `pfgov tick --resume` says that the clock is right",
            "CLOCK_LEAP_MAX": "not taken at its word until somebody says so or the clock is back",
            "ENTRY_BYTES_REACHABLE_MAX": "`entry.too_large`, and nothing changes",
            "FOLLOW_UPS_PER_TICK_MAX": "the next round or tick goes on where this one stopped",
            "LEDGER_KEYS_MAX": "a verifier refuses the ledger; begin a successor before",
        },
    ),
    Area(
        "pfgov.policy.limits",
        "What a policy set may be",
        "the set does not load, and `policy check` says where",
        "no setting: sets are recorded, and have to load everywhere",
        {
            "VERDICTS_CACHED_MAX": "the memory is emptied; nothing is decided differently",
            "REASONS_KEPT_MAX": "the memory is emptied; nothing is decided differently",
            "COLUMN_KEYS_MAX": "the memory is emptied; nothing is decided differently",
            "COLUMN_OUTCOMES_MAX": "the memory is emptied; nothing is decided differently",
            "GENERATED_MAX": "more only if the test says so",
        },
    ),
    Area(
        "pfgov.policy.cel.limits",
        "What an expression may cost",
        "refused at load (`cel.cost`), or a failure of the kind `cost` at run time, which denies",
        "no setting: an expression means the same everywhere",
    ),
    Area(
        "pfgov_api.limits",
        "What a server does at once",
        "401, 408, 413, 429, 431 or 503, and a slow connection is closed",
        "no setting; put a proxy in front for tighter ones",
        {"SCANNED_MAX": "the page is short and says where to go on"},
    ),
    Area(
        "pfgov.app.tenancy.limits",
        "Many ledgers on one server",
        "`ledger.too_many_open`, 503: come back",
        "no setting",
        {
            "NAMED_LEDGERS_MAX": "the others, by name, are not served, and the log says so",
            "OPEN_LEDGERS_MAX": "the one used longest ago is closed; `ledger.too_many_open` where all are in use; "
            "`--ledgers-open`",
            "OPENING_SECONDS": "`store.unavailable`, 503, and the next one has its turn",
            "REST_SECONDS": "it is closed, unless something is due sooner than in so long again",
            "REST_SECONDS_MIN": "it may make room for another",
            "SCAN_SECONDS": "a ledger that was added is found at the next look",
            "UNFINISHED_SECONDS": "it is taken away; until then it lies there, and nobody serves it",
            "STAMP_SECONDS": "it is visited, for a deadline may be new",
            "SERVERS_MAX": "the others have none of them, and are no worse to ask",
            "SERVER_SILENT_SECONDS": "the others take over what was its",
            "HANDED_OVER_MAX": "the next ones at the next look",
            "AGAIN_SECONDS": "it is looked at once more",
        },
    ),
    Area(
        "pfgov.app.webhook.limits",
        "Whom a server tells of what is committed",
        "the server does not start, and says which file is wrong",
        "no setting",
        {
            "DEAD_MAX": "the oldest are dropped, and counted; the ledger has the entries",
            "TIMEOUT_SECONDS": "the message counts as refused, and is sent again",
            "STOP_SECONDS": "what is under way is told again at the next start",
        },
    ),
    Area(
        "pfgov.engine.sequencing.command_queue",
        "What waits in the engine",
        "`engine.busy`, 503, or the command goes into the next commit",
        "no setting",
    ),
    Area(
        "pfgov_ledger.export_format",
        "What a line of an export may be",
        "a verifier refuses the file",
        "no setting: it is the format",
    ),
)  # fmt: skip

SETTINGS = (
    (
        "`lease_seconds`",
        "30",
        "the member is FAILED and its packets are placed again",
        "a silence that is taken for death, where a member names none",
    ),
    (
        "`suspect_permille`",
        "667",
        "the member is SUSPECT and gets no new work",
        "the part of a lease after which it is late",
    ),
    (
        "`handoff_timeout`",
        "60 s",
        "`handoff_aborted`; the next candidate is asked",
        "how long an offer waits",
    ),
    (
        "`review_timeout`",
        "1 day",
        "`review_expired`; the packet waits again",
        "how long a review is waited for, where a rule names no time",
    ),
    (
        "`attempts_max`",
        "16",
        "the packet FAILs (`attempts`)",
        "owners that died of it, gave it back, or had it put back by an operator, without progress",
    ),
    (
        "`max_handoffs`",
        "32",
        "the packet stays, or FAILs when it has no owner (`max_handoffs`)",
        "moves of a packet that names no limit",
    ),
    (
        "`expiry_share_permille`, `expiry_floor`",
        "500, 3",
        "`expiry_halted` until it is known why",
        "leases that may end at once",
    ),
    (
        "`clock_jump_max`",
        "300 s",
        "the clock is not believed until it is steady for as long",
        "how far it may leap ahead",
    ),
    (
        "`pressure_high`, `pressure_low`",
        "0.9, 0.7",
        "no new work, and four packets move for each report",
        "how loaded a member may be",
    ),
    (
        "`rebalance_gain_permille`, `rebalance_budget`, `rebalance_cooldown`",
        "250, 0 (off), 60 s",
        "nothing moves",
        "what evening out is worth",
    ),
    (
        "`flap_limit`, `flap_window`, `flap_penalty`",
        "3, 60 s, 60 s",
        "quarantine, doubled each time, which ends by itself",
        "failures of a member in a row",
    ),
)
"""Setting, default, what happens beyond it, what it is for."""


def _settings() -> list[str]:
    return [
        "## Settings", "",
        "What an operator changes, with `pfgov config set` or `PATCH /api/configuration`.",
        "", "| setting | default | beyond it | what it is for |", "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in SETTINGS), "",
    ]  # fmt: skip


def pages() -> dict[str, str]:
    """Return the page."""
    lines = [
        "# Limits", "",
        "Nothing grows without a bound, and each bound has a name. This page is generated from the code: value, what",
        "it is for, what happens beyond it, how to change it, and the test that reaches it.", "", *_settings(),
    ]  # fmt: skip
    for area in AREAS:
        lines += [f"## {area.title}", "", f"`{area.module}`. Change: {area.change}.", ""]
        lines += [
            "| bound | value | what it is for | beyond it | reached by |",
            "|---|---|---|---|---|",
        ]
        for name, value, why in bounds(area.module):
            beyond = area.special.get(name, area.beyond)
            test = _test_of(f"{area.module}.{name}")
            lines.append(f"| `{name}` | {value:,} | {why} | {beyond} | {test} |")
        lines.append("")
    return {"docs/reference/limits.md": "\n".join(lines)}


def _test_of(bound: str) -> str:
    """Return the test that reaches *bound*, or why none does."""
    said = tomllib.loads((ROOT / "tests" / "limits.toml").read_text(encoding="utf-8"))
    if bound in said["reached"]:
        return f"`{said['reached'][bound].partition('::')[2]}`"
    return f"none: {said['exempt'].get(bound, 'nobody has said why')}"


def bounds(module: str) -> list[tuple[str, int | float, str]]:
    """Return name, value and sentence of each bound that *module* defines, in its order."""
    package, _, rest = module.partition(".")
    path = ROOT / PACKAGES[package] / (rest.replace(".", "/") + ".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    loaded = importlib.import_module(module)
    found: list[tuple[str, int | float, str]] = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name = node.target.id
        value = getattr(loaded, name)
        if not name.endswith(ENDINGS) or name.startswith("_") or not isinstance(value, int | float):
            continue
        why = name.replace("_", " ").lower()
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            why = " ".join(str(after.value.value).split()).replace("|", "\\|").replace("``", "`")
        found.append((name, value, why))
    return found

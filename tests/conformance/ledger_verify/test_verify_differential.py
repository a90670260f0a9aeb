"""Three verifiers, one answer: random logs, questions and damage (``make verifier-diff`` asks thousands)."""

import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance.ledger_verify import differential
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.memory_log import MemoryLog
from conformance.ledger_verify.corpus.run import run
from conformance.ledger_verify.corpus.story import genesis, register
from conformance.ledger_verify.corpus.tools import stolen
from conformance.ledger_verify.random_logs import Teller
from support.ed25519_vectors import Case, cctv, own, wycheproof
from support.other_verifiers import ASK, Verifier, one_file, page_in_node

from pfgov_ledger import cli, errors, keys
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.receipt import RECEIPT_BYTES_MAX
from pfgov_ledger.report import dumps
from pfgov_ledger.verify import Question, verify

CASES = int(os.environ.get("PFGOV_VERIFIER_DIFF", "300"))
SEED = int(os.environ.get("PFGOV_VERIFIER_DIFF_SEED", "2026"))


@pytest.fixture(scope="module")
def page() -> Iterator[Verifier]:
    """The page's program, in Node.js."""
    with page_in_node() as started:
        yield started


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    """The one-file verifier, where no library can be imported."""
    with one_file(tmp_path_factory.mktemp("pyz")) as started:
        yield started


@pytest.mark.process
def test_the_page_gives_the_same_report_of_every_case(page: Verifier) -> None:
    """The page and the package disagree about a file of the corpus."""
    for path in sorted(VECTORS.glob("*/*/*.case.json")):
        case, report = run(path, VECTORS)
        kept = None if case["remember"] is None else (VECTORS / case["remember"]).read_bytes()
        data, anchor = (
            (path.parent / case["file"]).read_bytes(),
            (VECTORS / case["anchor"]).read_text(),
        )
        assert page.report(data, anchor, case, kept) == dumps(report), path.name


READ = """async ({ anchor }) => {
  try { return String(pfgovVerify.parseAnchor(anchor).genesis !== null); } catch (error) { return error.code; }
}"""
"""JavaScript: what the page reads of an anchor."""


def _read(text: str) -> str:
    try:
        return str(keys.parse_anchor(text).genesis_leaf is not None).lower()
    except errors.LedgerError as error:
        return error.code


@pytest.mark.process
def test_an_anchor_has_the_same_lines_for_everybody() -> None:
    """The page and the package pin something else under one anchor, or one of them nothing."""
    vkey, genesis = (VECTORS / "anchor.txt").read_text().splitlines()[-2:]
    with page_in_node(READ) as page:
        for end in ("\n", "\r", "\r\n", *"\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029 \u2003\ufeff"):
            for text in (
                f"# note{end}{genesis}\n{vkey}\n", f"{vkey}{end}{genesis}{end}", f"{vkey}\n{end}{genesis}\n",
                f"{vkey}\n#{end}{genesis}\n{genesis}", f"{vkey}\n{genesis}{end}more",
            ):  # fmt: skip
                assert page.report(b"", text, {}) == _read(text), repr(text)
        for size in (4_095 - len(vkey), 4_096 - len(vkey)):
            text = f"{vkey}\n#" + "\U0001f600" * (size - 1)
            assert page.report(b"", text, {}) == _read(text), size


KEYS = """async ({ anchor }) => {
  try { return pfgovVerify.parseWitnesses(anchor).map((key) => key.name).join(" "); } catch { return "refused"; }
}"""
"""JavaScript: whom the page takes for witnesses, by a list that stands in the anchor's place."""


def _named(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    try:
        asked = cli.parser().parse_args(["x", "--witness", str(path)])
        return " ".join(key.name for key in cli._witnessing(asked).vkeys)
    except cli.CommandError:
        return "refused"


@pytest.mark.process
def test_a_list_of_witnesses_has_the_same_keys_for_everybody(tmp_path: Path) -> None:
    """One of two verifiers asks for fewer cosignatures than the other under one list, or for none."""
    first, second = (str(keys.vkey_of(stolen("witness", f"w.example/{n}"))) for n in (1, 2))
    with page_in_node(KEYS) as page:
        for around in (
            *"\n\r\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029 \u2003\ufeff",
            "\r\n",
            " \t#",
            "# ",
            "",
        ):
            for text in (
                f"{around}{first}\n{around}{second}\n", f"{first}{around}\n{second}{around}",
                f"{first}{around}{second}",
                f"{around}# note\n{first}", f"#{around}{first}\n", f"{first}\n#{around}\n{second}", around,
            ):  # fmt: skip
                assert page.report(b"", text, {}) == _named(tmp_path / "list", text), repr(text)


@pytest.mark.process
@pytest.mark.long
def test_verifiers_agree_about_random_logs(pyz: Verifier, page: Verifier) -> None:
    """The package, the one file and the page give different reports of one file and one question."""
    outcome = differential.compare(CASES, SEED, {"one file": pyz, "page": page})
    assert outcome.differing == []
    assert outcome.cases == CASES
    assert {"exit 0", "exit 1", "exit 4", "exit 5"} <= set(outcome.seen)
    assert len([code for code in outcome.seen if code.startswith("ledger.")]) >= 30


@pytest.mark.process
def test_a_planted_difference_is_seen(page: Verifier) -> None:
    """Comparing would not notice a verifier that judges one kind of failure otherwise."""

    class Bent(Verifier):
        def __init__(self) -> None:
            """No process of its own."""

        def report(self, *asked: object, **more: object) -> str:
            found = page.report(*asked, **more)  # type: ignore[arg-type]
            return found.replace('"ledger.sequence"', '"ledger.chain_broken"')

    outcome = differential.compare(200, SEED, {"bent": Bent()})
    assert outcome.differing
    assert all("ledger.sequence" in text for text in outcome.differing)


def test_honest_random_logs_pass() -> None:
    """A random history that its teller did not lie in is refused, so that the comparison is about refusals alone."""
    for seed in range(60):
        teller = Teller(seed)
        teller.lie_at = None
        teller.is_honest = True
        log = teller.tell()
        anchor = log.anchor()
        anchor = type(anchor)(anchor.log_vkey, log.rows[0].leaf)
        report = verify(io.BytesIO(log.full()), anchor=anchor, question=Question("full"))
        assert report.exit_status == 0, (seed, report.to_text())
        for subject in sorted(log.subjects)[:6]:
            if log.latest_index() == len(log.rows) - 1:
                report = verify(
                    io.BytesIO(log.of(subject)),
                    anchor=anchor,
                    question=Question("subject", subject),
                )
                assert report.exit_status == 0, (seed, subject, report.to_text())


def test_a_seed_makes_the_same_log() -> None:
    """A seed that was reported cannot be looked at again."""
    assert Teller(7).tell().full() == Teller(7).tell().full()


def _asking(**more: object) -> dict[str, object]:
    """Return what the page is asked about a whole file."""
    usual: dict[str, object] = {
        "question": {"kind": "file", "subject": None},
        "quick": False,
        "witnesses": [],
        "quorum": 0,
        "max_age": None,
        "now": 0,
    }
    return {**usual, **more}


@pytest.mark.process
def test_the_page_agrees_about_a_proof_of_a_place_beyond_all_others(page: Verifier) -> None:
    """The page rounds the place that a proof is for, and reports another one."""
    anchor = (VECTORS / "anchor.txt").read_text()
    good = (VECTORS / "golden/v1/entry-13.tlog-proof").read_bytes()
    case = _asking()
    for index in (b"9007199254740993", b"9999999999999999", b"14", b"13"):
        data = good.replace(b"\nindex 13\n", b"\nindex " + index + b"\n")
        said = page.report(data, anchor, case)
        assert said == dumps(verify(io.BytesIO(data), anchor=keys.parse_anchor(anchor)))
        assert index == b"13" or f'"found": "{index.decode()}"' in said


@pytest.mark.process
def test_the_page_agrees_about_a_witness_that_is_the_log(page: Verifier) -> None:
    """Whoever names the log's own key as a witness is told by the page that the log did not sign."""
    anchor = (VECTORS / "anchor.txt").read_text()
    pinned = keys.parse_anchor(anchor)
    data = (VECTORS / "golden/v1/full.lineage.jsonl").read_bytes()
    case = _asking(quick=True, witnesses=[str(pinned.log_vkey)])
    trusted = Witnessing((pinned.log_vkey,))
    expected = verify(io.BytesIO(data), anchor=pinned, witnessing=trusted, quick=True)
    assert page.report(data, anchor, case) == dumps(expected)
    assert expected.exit_status == 0


@pytest.mark.process
def test_the_page_shows_the_entry_that_it_names() -> None:
    """A body that says of itself that it is another entry is shown in the place of the first bad one."""
    log = MemoryLog()
    genesis(log)
    decoy = {"packet_id": "a", "says": {"of": 1, "seq": 2, "subject": "x"}}
    log.add("packet_created", "packet/a", decoy)
    log.add("packet_created", "packet/b", {"packet_id": "b"})
    log.commit()
    ask = "async ({ data }) => pfgovVerify.entryAt(new Blob([pfgovVerify.base64(data)]), 2)"
    with page_in_node(ask) as shown:
        assert json.loads(shown.report(log.full(), None, {}))["body"] == {"packet_id": "b"}


def test_every_verifier_reads_what_the_text_says_is_a_receipt(page: Verifier) -> None:
    """Spaces before a receipt, and how many bytes a verifier looks at, decide what the file is."""
    anchor = (VECTORS / "anchor.txt").read_text()
    whole = (VECTORS / "golden/v1/entry-13.receipt.json").read_bytes()
    case = _asking()
    for spaces in (
        0,
        63,
        64,
        65,
        RECEIPT_BYTES_MAX - len(whole),
        RECEIPT_BYTES_MAX - 12,
        RECEIPT_BYTES_MAX,
        RECEIPT_BYTES_MAX + 70_000,
    ):
        data = b" " * spaces + whole
        mine = dumps(verify(io.BytesIO(data), anchor=keys.parse_anchor(anchor)))
        assert page.report(data, anchor, case) == mine, spaces


COUNTED = f"""async (asked) => {{
  let count = 0;
  const one = Sha256.prototype.compress;
  Sha256.prototype.compress = function (...block) {{ count++; return one.apply(this, block); }};
  try {{ await ({ASK})(asked); }} finally {{ Sha256.prototype.compress = one; }}
  return String(count);
}}"""
"""How often the page hashes a block while it answers."""


@pytest.mark.process
def test_an_index_costs_the_page_the_same_however_many_subjects_there_are() -> None:
    """Each committed index hashes the whole subject map again: quadratic time for a hostile file."""
    log = MemoryLog()
    genesis(log)
    for number in range(300):
        register(log, f"m{number}", "00" * 32)
    case = {
        "question": {"kind": "file", "subject": None},
        "quick": True,
        "witnesses": [],
        "quorum": 0,
        "max_age": None,
        "now": 0,
    }
    found: list[int] = []
    with page_in_node(COUNTED) as counted:
        for _ in range(3):
            for _ in range(20):
                log.commit_index()
            found.append(int(counted.report(log.full(), None, case)))
    a_time = [(after - before) / 20 for before, after in itertools.pairwise(found)]
    assert max(a_time) < 200  # 300 subjects are 600 nodes and leaves of two blocks each


JUDGED = """async ({ case: { vectors, way } }) => {
  const v = pfgovVerify, found = [];
  for (const one of vectors) {
    const [k, m, s] = one.map(v.fromHex);
    if (way === "WebCrypto") found.push(await v.verifyStrict(k, m, s));
    else found.push(v.isSoundForm(s) && v.isSoundKey(k) && await v.holdsInBigInts(k, m, s));
  }
  return JSON.stringify(found);
}"""


@pytest.mark.process
@pytest.mark.long
@pytest.mark.parametrize("way", ["WebCrypto", "plain numbers"])
@pytest.mark.parametrize("who", [own, cctv, wycheproof])
def test_the_page_judges_signatures_as_the_strict_rule(
    way: str, who: Callable[[], list[Case]]
) -> None:
    """The page in Node.js judges a signature at the edges of the rule otherwise than whoever wrote it down."""
    cases = who()
    vectors = [[part.hex() for part in (one.public, one.message, one.signature)] for one in cases]
    with page_in_node(JUDGED) as judging:
        found = json.loads(judging.report(b"", None, {"vectors": vectors, "way": way}))
    assert [
        c.about for c, is_valid in zip(cases, found, strict=True) if is_valid is not c.is_valid
    ] == []

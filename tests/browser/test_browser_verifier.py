"""The page ``ledger/verify.html`` in a real browser: the same reports, usable with a keyboard.

Needs Playwright (PyPI) and a Chromium on the machine; skipped with the reason where one is missing.
"""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.mutations import mutated
from browser.page_tables import PAGE, refreshed
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.run import run
from support.chromium import chromium
from support.ed25519_vectors import Case, cctv, edge_cases, own, wycheproof

from pfgov_ledger import ed25519, keys
from pfgov_ledger.report import dumps
from pfgov_ledger.verify import verify

CASES = sorted(VECTORS.glob("*/*/*.case.json"))


def test_the_page_knows_the_same_codes() -> None:
    """The page and the package explain different codes, reasons or events: run page_tables.py."""
    assert PAGE.read_text() == refreshed(PAGE.read_text())


def test_the_page_reaches_for_nothing() -> None:
    """The page loads something from somewhere, or could."""
    text = PAGE.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href)=|fetch\(|XMLHttpRequest|import\(|WebSocket", text)


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """The page, opened from disk in a headless Chromium."""
    with chromium() as browser:
        opened = browser.new_page()
        opened.goto(PAGE.as_uri())
        yield opened


RUN = """async ([data, c, anchor, remembered]) => {
  const v = pfgovVerify, bytes = v.base64(data);
  const report = await v.verify(new Blob([bytes]), {
    anchor: v.parseAnchor(anchor), question: c.question, quick: c.quick,
    remembered: remembered && v.parseRemembered(v.base64(remembered)),
    witnesses: c.witnesses.map(v.parseVkey), quorum: c.quorum, maxAge: c.max_age, now: c.now,
  });
  return v.dumps(report);
}"""


def in_browser(page: Any, path: Path, case: dict[str, Any]) -> str:
    """The report that the page gives for a case."""
    remembered = case["remember"] and (VECTORS / case["remember"]).read_bytes()
    text: str = page.evaluate(
        RUN,
        [
            base64.b64encode((path.parent / case["file"]).read_bytes()).decode(),
            case,
            (VECTORS / case["anchor"]).read_text(),
            remembered and base64.b64encode(remembered).decode(),
        ],
    )
    return text


@pytest.mark.browser
def test_every_case_of_the_corpus_gives_the_same_report(page: Any) -> None:
    """The page and the package disagree about a file of the corpus."""
    for path in CASES:
        case, report = run(path, VECTORS)
        assert in_browser(page, path, case) == dumps(report), path.name


@pytest.mark.browser
def test_signatures_run_in_webcrypto(page: Any) -> None:
    """The browser has no Ed25519, so that only the slow way was tested."""
    assert page.evaluate("window.isSecureContext")
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    script = """async (key) => (await crypto.subtle.importKey(
        "raw", pfgovVerify.fromHex(key), {name: "Ed25519"}, false, ["verify"])).type"""
    assert page.evaluate(script, key) == "public"


@pytest.mark.browser
def test_a_person_verifies_a_file(page: Any) -> None:
    """Choosing a file, pasting the anchor and pressing Enter does not show the verdicts."""
    page.reload()
    page.get_by_label("Export, receipt or proof").set_input_files(
        VECTORS / "golden" / "v1" / "packet-fp-001.lineage.jsonl"
    )
    page.get_by_label("Anchor").fill((VECTORS / "anchor.txt").read_text())
    page.get_by_label("Question").select_option("subject")
    page.get_by_label("Subject", exact=True).fill("packet/fp-001")
    page.get_by_label("Subject", exact=True).press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.locator("#conclusion").inner_text() == "PASSED"
    assert page.get_by_role("row", name="custody").inner_text().split()[:2] == ["custody", "pass"]
    assert page.evaluate("document.activeElement.id") == "result-title"
    assert page.get_by_role("status").inner_text() == "PASSED"


@pytest.mark.browser
def test_a_person_sees_the_first_bad_entry(page: Any) -> None:
    """A tampered file does not show which entry is bad and what it says."""
    page.reload()
    page.get_by_label("Export, receipt or proof").set_input_files(
        VECTORS / "tampered" / "signature_invalid" / "edit.lineage.jsonl"
    )
    page.get_by_label("Anchor").fill((VECTORS / "anchor.txt").read_text())
    page.get_by_role("button", name="Verify").click()
    page.wait_for_selector("#result:not([hidden])")
    assert (
        page.locator("#conclusion")
        .inner_text()
        .startswith("FAILED: ledger.signature_invalid at 13")
    )
    assert '"seq": 13' in page.locator("#bad-entry").inner_text()


@pytest.mark.browser
def test_a_dropped_file_is_taken(page: Any) -> None:
    """Dropping a file does nothing."""
    page.reload()
    data = (VECTORS / "golden" / "v1" / "full.lineage.jsonl").read_bytes()
    page.evaluate(
        """(data) => {
          const files = new DataTransfer();
          files.items.add(new File([pfgovVerify.base64(data)], "full.lineage.jsonl"));
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true}));
        }""",
        base64.b64encode(data).decode(),
    )
    page.get_by_role("button", name="Verify").press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.locator("#conclusion").inner_text().startswith("NOT ESTABLISHED: authenticity")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("Anchor", "not a key", "The anchor:"),
        ("Subject", "", "Name a subject"),
    ],
)
def test_a_mistake_in_the_form_is_said(page: Any, field: str, text: str, complaint: str) -> None:
    """A wrong anchor or a missing subject is not said in words."""
    page.reload()
    page.get_by_label("Export, receipt or proof").set_input_files(
        VECTORS / "golden" / "v1" / "full.lineage.jsonl"
    )
    if field == "Subject":
        page.get_by_label("Question").select_option("subject")
    else:
        page.get_by_label("Anchor").fill(text)
    page.get_by_role("button", name="Verify").click()
    page.wait_for_function("document.getElementById('state').textContent !== ''")
    assert page.get_by_role("status").inner_text().startswith(complaint)


def agree(page: Any, way: str, cases: list[Case]) -> None:
    """The page, the package and whoever wrote the cases judge each alike."""
    script = """async ([vectors, way]) => {
      const v = pfgovVerify, found = [];
      for (const [key, message, signature] of vectors) {
        const [k, m, s] = [key, message, signature].map(v.fromHex);
        if (way === "WebCrypto") found.push(await v.verifyStrict(k, m, s));
        else found.push(v.isSoundForm(s) && v.isSoundKey(k) && await v.holdsInBigInts(k, m, s));
      }
      return found;
    }"""
    vectors = [[case.public, case.message, case.signature] for case in cases]
    found = page.evaluate(script, [[[part.hex() for part in one] for one in vectors], way])
    assert found == [ed25519.verify(*one) for one in vectors]
    assert found == [case.is_valid for case in cases]


@pytest.mark.browser
@pytest.mark.parametrize("way", ["WebCrypto", "plain numbers"])
def test_all_verifiers_agree_on_wycheproof(page: Any, way: str) -> None:
    """The page accepts a signature that the package refuses, or the other way round."""
    cases = wycheproof()
    assert len(cases) == 151
    agree(page, way, cases)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["WebCrypto", "plain numbers"])
def test_all_verifiers_agree_on_our_edge_cases(page: Any, way: str) -> None:
    """The page judges a signature of ledger/vectors/ed25519.json otherwise than the package or the textbook."""
    agree(page, way, own())


@pytest.mark.browser
@pytest.mark.go
@pytest.mark.parametrize("way", ["WebCrypto", "plain numbers"])
def test_all_verifiers_agree_on_edge_cases_of_ed25519(page: Any, way: str) -> None:
    """The page judges a key or R of low order, or a non-canonical one, otherwise than the package."""
    cases = edge_cases()
    assert len(cases) == 768
    agree(page, way, cases)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["WebCrypto", "plain numbers"])
def test_all_verifiers_agree_on_cctv(page: Any, way: str) -> None:
    """The page judges one of C2SP/CCTV's 914 signatures otherwise than the package or than the strict rule."""
    cases = cctv()
    assert len(cases) == 914
    agree(page, way, cases)


@pytest.mark.browser
def test_damaged_files_give_the_same_report(page: Any) -> None:
    """The page and the package disagree about a file with random damage."""
    anchor = (VECTORS / "anchor.txt").read_text()
    case = {"question": {"kind": "file", "subject": None}, "quick": False, "witnesses": []} | {
        "quorum": 0,
        "max_age": None,
        "now": 0,
    }
    codes: set[str | None] = set()
    for data in mutated(seed=20_260_613, count=200):
        report = verify(io.BytesIO(data), anchor=keys.parse_anchor(anchor))
        codes |= {verdict.code for verdict in report.verdicts.values()}
        found = page.evaluate(RUN, [base64.b64encode(data).decode(), case, anchor, None])
        assert found == dumps(report), data
    assert len(codes) > 20

"""A packet's history on a page: true to the ledger, whole, and text and nothing else, whatever the ledger says."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.commandline import GOOD, CommandLine

from pfgov.app import report

HOSTILE = (
    "</title><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "&lt;b&gt; <!-- ",
    "{{7*7}} ${x}", "</td></tr></table><h1>Owned by nobody</h1>", "]]><svg onload=alert(1)>",
)  # fmt: skip
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "dl", "div", "dt", "dd", "bdi",
    "p", "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "time", "svg", "text", "line", "rect",
}  # fmt: skip


class Seen(HTMLParser):
    """Every element of a page, its attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "line"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "line":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def pfgov(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """A command line that writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    line = CommandLine(tmp_path / "ledger", capsys)
    line.owned()
    return line


def told(pfgov: CommandLine, packet_id: str = "fp-001") -> Seen:
    """The page, read."""
    pfgov.ok("ledger", "report", packet_id, "--fresh", "--force")
    seen = Seen()
    seen.feed(Path(f"{packet_id}.report.html").read_text())
    seen.close()
    assert not seen.open
    return seen


def test_a_page_says_who_owned_it_and_why(pfgov: CommandLine) -> None:
    """An owner, a decision, a class or an entry is missing on the page, or the page was written unverified."""
    Path("context.json").write_text(json.dumps({"config": "password=unmistakable7"}))
    pfgov.ok("packet", "submit", "--id", "p2", "--workload", "w", "--context", "context.json")
    pfgov.ok("member", "register", "--id", "b2", *GOOD)
    pfgov.ok("packet", "handoff", "p2", "--to", "b2")
    pfgov.ok("packet", "complete", "p2")
    seen = told(pfgov, "p2")
    page = Path("p2.report.html").read_text()
    owners = page[page.index("Owners, the first one first") : page.index("<h2>Why")]
    assert re.findall(r"<td><bdi>(\w+)</bdi></td><td>1</td><td>(\d)</td>", owners) == [
        ("a1", "1"),
        ("b2", "2"),
    ]
    assert "still" not in owners
    assert seen.tags.count("rect") == 2
    assert "secret.password" in seen.text
    assert "unmistakable" not in seen.text
    assert re.findall(r"<td>(integrity|authenticity|completeness)</td><td>(\w+)</td>", page) == [
        ("integrity", "pass"), ("authenticity", "pass"), ("completeness", "pass"),
    ]  # fmt: skip
    everything = page[page.index("Everything that happened") :]
    recorded = pfgov.ok("ledger", "log", "--subject", "packet/p2")["entries"]
    told_of = [int(seq) for seq in re.findall(r"<tr><td>(\d+)</td>", everything)]
    assert told_of == sorted(entry["seq"] for entry in recorded)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_the_ledger_says_stands_there_as_text(text: str, pfgov: CommandLine) -> None:
    """A reason breaks out of its place, and the page shows or does what nobody signed."""
    pfgov.ok("member", "register", "--id", "b2", *GOOD)
    pfgov.ok("packet", "handoff", "fp-001", "--to", "b2", "--reason", text)
    seen = told(pfgov)
    assert set(seen.tags) <= ALLOWED
    assert text in seen.text
    names = {name for name, _ in seen.attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "href", "style"}}
    assert seen.tags.count("h1") == 1


def test_a_page_loads_nothing(pfgov: CommandLine) -> None:
    """The page asks the network for something, or could."""
    seen = told(pfgov)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in seen.attributes
    page = Path("fp-001.report.html").read_text()
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_packet_that_is_not_there_has_no_page(pfgov: CommandLine) -> None:
    """A page about nothing is written, or a file is replaced unasked."""
    assert pfgov.refused("ledger", "report", "fp-002", "--fresh")["code"] == "packet.not_found"
    assert not Path("fp-002.report.html").exists()
    assert pfgov("ledger", "report", "../../x").status == 2
    told(pfgov)
    assert pfgov("ledger", "report", "fp-001").status == 2


def test_a_page_has_an_end(pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet with entries without number makes a page that nobody can open."""
    monkeypatch.setattr(report, "ENTRIES_MAX", 2)
    assert pfgov.refused("ledger", "report", "fp-001", "--fresh")["code"] == "input.too_large"


@pytest.mark.browser
def test_a_page_passes_axe(pfgov: CommandLine) -> None:
    """Somebody who does not see the page cannot read it."""
    chromium = shutil.which("chromium")
    axe = Path(__file__).parents[2] / "data" / "axe" / "axe.min.js"
    if chromium is None or not axe.is_file():
        pytest.skip("needs Chromium and axe-core")
    told(pfgov)
    page = Path("fp-001.report.html").read_text()
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    judged = (
        f"<script>{axe.read_text()}</script><script>axe.run().then(r => 'axe:' + JSON.stringify(r.violations.map("
        "v => v.id)), e => 'axe failed: ' + e).then(said => { document.title = said; });</script></body>"
    )
    Path("judged.html").write_text(page.replace("</body>", judged))
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom",
         f"file://{Path('judged.html').resolve()}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = re.search(r"<title>(axe:\[[^<]*\])</title>", done.stdout)
    assert found is not None, done.stdout[-500:]
    assert found[1] == "axe:[]"

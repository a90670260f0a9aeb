"""How long an editor waits until a mistake is shown, in a folder of 200 rules: ``make bench-lsp``.

A client speaks to the language server over its pipes, as an editor does.  In each round a mistake is typed into one of
ten files, and the time until it is shown is taken: right after the mistake before it, and after a pause in which the
whole folder begins to be checked.  Printed are the median, p99 and the longest, and the processor time of a check.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from process.test_policy_lsp import Editor  # noqa: E402

from pfgov.policy.authoring.editing.checked import Alone, check  # noqa: E402

FILES, RULES = 10, 20
NAME = "p3.policy.yaml"
MISTAKES = (
    ("member.trust_score", "member.trust_scor"),
    ("packet.priority", "packet.priorit"),
    ("member.region", "membr.region"),
    ("params.floor", "params.flor"),
)


def make(folder: Path) -> None:
    """Write the folder."""
    for number in range(FILES):
        rules = "".join(
            f"  - id: r{at}\n"
            f"    when: packet.priority > {at} && packet.data_classes.exists(c, class_within(c, "
            f'"pii")) && packet.workload_type != "w{number}-{at}"\n'
            f'    require: member.trust_score >= params.floor && (member.region in ["eu", "us-{at}"] '
            f"|| member.load.active < {at + 1})\n"
            '    message: "too low"\n'
            for at in range(RULES)
        )
        (folder / f"p{number}.policy.yaml").write_text(
            f'apiVersion: pfgov/v1\nkind: Policy\nmetadata: {{name: p{number}, version: "1", description: d}}\n'
            f"on: [place, retain]\nparams:\n  floor: {{type: double, value: 0.{30 + number}}}\nrules:\n{rules}"
        )


def waited(editor: Editor, text: str, rounds: int, pause: float) -> list[float]:
    """Return how many milliseconds passed until each mistake was shown, in order of size."""
    uri, found = editor.uri(NAME), list[float]()
    for number in range(rounds):
        old, new = MISTAKES[number % len(MISTAKES)]
        time.sleep(pause)
        editor.published.pop(uri, None)
        begun = time.perf_counter()
        editor.type(NAME, 2 * number + 2, text.replace(old, new, 1) + f"# {number}\n")
        while not editor.published.get(uri):
            editor.wait_for_more()
        found.append((time.perf_counter() - begun) * 1_000)
    return sorted(found)


def main() -> None:
    """Print a line for each pause."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        text = (folder / NAME).read_text()
        begun = time.process_time()
        seen = check(folder, {})
        print(f"the whole folder: {(time.process_time() - begun) * 1_000:.0f} ms of processor")
        alone = Alone(seen.files)
        alone.errors(folder / NAME, text)
        begun = time.process_time()
        for number in range(20):
            alone.errors(folder / NAME, text.replace(*MISTAKES[number % len(MISTAKES)], 1))
        print(f"a file alone: {(time.process_time() - begun) * 50:.0f} ms of processor")
        for pause in (0.05, 0.5):
            editor = Editor(folder)
            editor.ask(
                "initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}}
            )
            editor.notify("initialized", {})
            editor.open(NAME, text)
            editor.wait(NAME, set())
            found = waited(editor, text, given.rounds, pause)
            print(
                f"{given.rounds} mistakes, {pause} s apart: median {statistics.median(found):.0f} ms, "
                f"p99 {found[int(len(found) * 0.99) - 1]:.0f} ms, longest {found[-1]:.0f} ms",
                flush=True,
            )
            editor.leave()
            editor.stop()


if __name__ == "__main__":
    main()

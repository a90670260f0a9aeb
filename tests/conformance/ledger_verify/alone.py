"""Run by other tests in a bare interpreter: verify cases of the corpus, and signatures, and print what came out.

``python -I -S alone.py PATH:PATH CASE...`` puts only those paths on ``sys.path``.  It prints a JSON
object {reports, signatures, modules}: the report of each case, whether each signature of
``ed25519.json`` holds, and the top-level modules that were imported.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main(paths: str, cases: list[str]) -> int:
    """Verify *cases* with what lies on *paths*."""
    sys.path[:0] = [*paths.split(":"), str(FOLDER / "corpus")]
    import run as corpus

    from pfgov_ledger import ed25519
    from pfgov_ledger.report import dumps

    vectors = FOLDER.parents[2] / "ledger" / "vectors"
    reports = {case: dumps(corpus.run(vectors / case, vectors)[1]) for case in cases}
    signatures = [
        ed25519.verify(*(bytes.fromhex(case[part]) for part in ("public", "message", "signature")))
        for case in json.loads((vectors / "ed25519.json").read_bytes())["cases"]
    ]
    modules = sorted({name.partition(".")[0] for name in sys.modules} - {"run"})
    origins = {name: str(getattr(sys.modules[name], "__file__", "")) for name in modules}
    sys.stdout.write(json.dumps({"reports": reports, "signatures": signatures, "modules": origins}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))

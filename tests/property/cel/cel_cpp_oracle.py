"""Google's C++ CEL engine as an oracle, in a process of its own.

It must stay out of ours: it can abort CPython 3.11 (null results), and it returns errors
as truthy strings.  Reads one JSON line ``[expression, [facts, ...]]``, answers with a list
of true, false or "error".
"""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any


def oracle_python() -> str | None:
    """A Python that has cel-expr-python: ``PFGOV_CEL_ORACLE``, else this one, else None."""
    named = os.environ.get("PFGOV_CEL_ORACLE")
    if named:
        return named
    return sys.executable if importlib.util.find_spec("cel_expr_python") else None


class Oracle:
    """The running process."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def judge(self, expression: str, facts: list[Any]) -> list[Any]:
        """True, False or "error" for each of *facts*."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([expression, facts]) + "\n")
        self.process.stdin.flush()
        answers: list[Any] = json.loads(self.process.stdout.readline())
        return answers

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def _serve() -> None:
    from cel_expr_python import cel

    dyn = cel.Type.DYN
    environment = cel.NewEnv(variables=dict.fromkeys(("member", "packet", "action"), dyn))
    for line in sys.stdin:
        expression, facts = json.loads(line)
        try:
            program = environment.compile(expression)
        except Exception:
            print(json.dumps(["refused"] * len(facts)), flush=True)
            continue
        answers: list[Any] = []
        for fact in facts:
            result = program.eval(data=fact)
            answers.append(result.value() if result.type() == cel.Type.BOOL else "error")
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    _serve()

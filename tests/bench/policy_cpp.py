"""The C++ side of the policy benchmark: cel-expr-python, driven over a pipe.

Reads one JSON object a line: first the policies and facts, then ``{"time", "count"}``.
Answers with processor seconds per evaluation, facts converted each time as a caller would.
"""

import gc
import json
import sys
import time


def main() -> None:
    """Serve until the pipe closes."""
    try:
        from cel_expr_python import cel
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    setup = json.loads(sys.stdin.readline())
    dyn = cel.Type.DYN
    environment = cel.NewEnv(variables={"packet": dyn, "member": dyn})
    programs = {name: environment.compile(text) for name, text in setup["policies"].items()}
    facts = {"packet": setup["packet"], "member": setup["member"]}
    print("0", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        evaluate = programs[question["time"]].eval
        assert evaluate(data=facts).value() is True
        gc.disable()
        start = time.process_time()
        for _ in range(question["count"]):
            evaluate(data=facts)
        seconds = (time.process_time() - start) / question["count"]
        gc.enable()
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()

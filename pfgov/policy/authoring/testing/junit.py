"""A test report as JUnit XML, which every build server reads.

What tests are called is their author's: what would steer a terminal, which no XML may hold either, is escaped.
"""

from xml.sax.saxutils import escape, quoteattr

from pfgov.policy.authoring.testing.runner import Report
from pfgov_ledger.escaping import shown


def junit(report: Report) -> str:
    """Return *report* as one JUnit document: a suite for each file, a case for each candidate."""
    files: dict[str, list[str]] = {}
    failures: dict[str, int] = {}
    for result in report.results:
        name = f"{result.case}: {result.member}" if result.member else result.case
        body = ""
        if result.problem is not None:
            failures[result.file] = failures.get(result.file, 0) + 1
            lines = [f"{result.file}:{result.line}", *result.details]
            text = escape("\n".join(shown(line) for one in lines for line in one.split("\n")))
            body = f"<failure message={_attribute(result.problem)}>{text}</failure>"
        files.setdefault(result.file, []).append(
            f"<testcase classname={_attribute(result.file)} name={_attribute(name)}>{body}</testcase>"
        )
    suites = "".join(
        f"<testsuite name={_attribute(file)} tests={quoteattr(str(len(cases)))} "
        f"failures={quoteattr(str(failures.get(file, 0)))}>{''.join(cases)}</testsuite>"
        for file, cases in files.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>{suites}</testsuites>\n'


def _attribute(text: str) -> str:
    return quoteattr(shown(text))

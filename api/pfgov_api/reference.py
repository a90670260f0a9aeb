"""The API's own pages: every operation, and every problem, as static HTML that needs no network and runs no script.

Made from the OpenAPI document and the error classes, under a Content-Security-Policy that allows nothing but the page's
own style.
"""

import base64
import hashlib
import html
import inspect
from collections.abc import Iterator
from typing import Any, Final

from pfgov.errors import PfgovError
from pfgov_api.problems import STATUSES, TITLES

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid; margin-top: 2.5rem; }
article { margin: 1.5rem 0; padding-left: 1rem; border-left: 3px solid #8886; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .5rem; background: #8882; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top; }
.method { font-weight: 700; } .needs { opacity: .8; }
"""

_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""For these pages: their own style by its hash, and nothing else."""


_INTRODUCTION: Final = """
As a document for programs: <a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p>Send <code>Authorization: Bearer pfgov_...</code> where keys exist, <code>Content-Type: application/json</code> with
a body, and an <code>Idempotency-Key</code> with every write that you may have to repeat.
"""


def _html(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{html.escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>"
    ).encode()


def page(described: dict[str, Any]) -> bytes:
    """Return the reference of all operations of an OpenAPI document."""
    parts = [
        f"<h1>pfgov API {html.escape(described['info']['version'])}</h1>",
        f"<p>{html.escape(described['info']['summary'])} {_INTRODUCTION}</p><nav><ul>",
    ]
    parts += [
        f'<li><a href="#{tag["name"]}">{tag["name"]}</a> {html.escape(tag["description"])}</li>'
        for tag in described["tags"]
    ]
    parts.append("</ul></nav>")
    for tag in described["tags"]:
        parts.append(f'<h2 id="{tag["name"]}">{tag["name"]}</h2>')
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_article(path, method, operation))
    return _html("pfgov API", "".join(parts))


def _article(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(one['name'])}</th><td>{one['in']}</td>"
        f"<td>{html.escape(one.get('description', ''))}</td></tr>"
        for one in operation["parameters"]
    )
    body = operation.get("requestBody")
    sent = ""
    if body is not None:
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        sent = f"<p>Body: <code>{html.escape(name)}</code>{'' if body['required'] else ', may be left out'}</p>"
    needs = operation.get("x-needs-one-of")
    scope = f"needs one of: {html.escape(needs)}" if needs else "needs no key"
    return (
        f'<article id="{operation["operationId"]}"><h3><span class="method">{method.upper()}</span> '
        f"<code>{html.escape(path)}</code></h3><p>{html.escape(operation['summary'])}</p>{sent}"
        f'<table>{rows}</table><p class="needs">{scope}; answers {", ".join(operation["responses"])}</p></article>'
    )


def _classes(root: type[PfgovError] = PfgovError) -> Iterator[type[PfgovError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


def problem_page(code: str) -> bytes | None:
    """Return the page of a problem's code, or None where there is no such code."""
    meaning = next((inspect.getdoc(one) for one in _classes() if one.code == code), None)
    family = code.partition(".")[0]
    known = {one.code.partition(".")[0] for one in _classes()} | {
        name.partition(".")[0] for name, _ in STATUSES
    }
    if meaning is None and family not in known | {
        "member",
        "packet",
        "entry",
        "handoff",
        "review",
        "trust",
        "context",
        "key",
    }:
        return None
    said = html.escape(
        (meaning or "See the detail and the hint that came with it.").partition("\n")[0]
    )
    status = next((status for name, status in STATUSES if name == code), None)
    title = f"<p>{html.escape(TITLES[status])}.</p>" if status else ""
    return _html(
        code,
        f"<h1><code>{html.escape(code)}</code></h1><p>{said}</p>{title}<p><a href='/api/docs'>The API</a></p>",
    )

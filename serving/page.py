"""The description of the interface as a page for people: no script, nothing loaded from elsewhere."""

import html
import json
import re
from typing import Any

from serving.routes import EXAMPLE_OPERATION

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f2f2f0}pre{padding:.8rem;overflow:auto}table{border-collapse:collapse}
td,th{text-align:left;padding:.2rem .9rem .2rem 0;vertical-align:top}h2{margin-top:2rem;border-top:1px solid #ccc;padding-top:1rem}
@media (prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}code,pre{background:#262626}}"""


def page(description: dict[str, Any]) -> str:
    """The description for people: no script, nothing loaded from elsewhere."""
    routes = "".join(
        _section(method, path, route) for path, methods in description["paths"].items() for method, route in methods.items()
    )
    components = description["components"]
    schemes = "".join(
        f"<p>The scheme <code>{html.escape(name)}</code>: {_prose(scheme['description'])}</p>"
        for name, scheme in components["securitySchemes"].items()
    )
    schemas = "".join(
        f"<h2 id={json.dumps(name)}>{html.escape(name)}</h2><pre>{html.escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"
        for name, schema in components["schemas"].items()
    )
    example = html.escape(json.dumps(EXAMPLE_OPERATION, indent=1))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Burana: the "
        f"interface</title><style>{_STYLE}</style><main><h1>Burana: the interface</h1><p>{_prose(description['info']['description'])}</p>"
        f"{schemes}<p>An operation, as <code>POST /v1/operations</code> takes it:</p><pre>{example}</pre>{routes}{schemas}</main></html>"
    )


def _section(method: str, path: str, route: dict[str, Any]) -> str:
    """A route: what it does, what it asks for, what may stand in its address, what it answers."""
    asked = [(one["name"], f"{one['in']}: {json.dumps(one['schema'])}") for one in route.get("parameters", ())]
    answered = [(status, answer["description"]) for status, answer in route["responses"].items()]
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_prose(text)}</td></tr>" for name, text in asked + answered
    )
    words = f"{_prose(route['summary'])}. {_prose(route.get('description', ''))}"
    return f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{words}</p><table>{rows}</table>"


def _prose(text: str) -> str:
    """A text of the description as HTML."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))

"""The page as files for the server, and as one file with its data inside.

Scripts run under a Content-Security-Policy that names them by hash (file) or allows the server's
own only: text of a document can never become a script.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import orjson

from audit.query.plain import Json
from audit.report.views import Views
from pipelines.storage.files import write_text

HERE = Path(__file__).parent
STYLES = ("vendor/uPlot.min.css", "style.css")
SCRIPTS = ("vendor/uPlot.iife.min.js", "words.js", "nodes.js", "app.js")
ASSETS = {name.rsplit("/", 1)[-1]: HERE / name for name in (*STYLES, *SCRIPTS)}
"""What the server may send, by the name in its address."""

SERVER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def report_data(views: Views) -> Json:
    """Return the answers of all views, as the page reads them."""
    names = [signal["name"] for signal in views.signals()]
    views.frame.preload(names)
    return {
        "overview": views.overview(),
        "accounting": views.accounting(),
        "overlap": views.overlap(),
        "signal": {name: views.signal(name) for name in names},
        "samples": [views.samples(index) for index in range(len(views.frame.rules))],
        "clusters": views.clusters(),
        "pii": views.pii(),
    }


def write_report(views: Views, path: Path) -> int:
    """Write the report to `path` and return its size in bytes."""
    style = "\n".join((HERE / name).read_text("utf-8") for name in STYLES)
    script = "\n".join((HERE / name).read_text("utf-8") for name in SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "<!--POLICY-->": f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<!--STYLE-->": f"<style>{style}</style>",
        "<!--DATA-->": (
            f'<script type="application/json" id="data">{_inert(report_data(views))}</script>'
        ),
        "<!--SCRIPT-->": f"<script>{script}</script>",
    }
    text = _filled(parts)
    write_text(path, text)
    return len(text.encode())


def server_page() -> str:
    """Return the page that loads its parts and data from the server."""
    style = "".join(f'<link rel="stylesheet" href="/assets/{Path(n).name}">' for n in STYLES)
    script = "".join(f'<script src="/assets/{Path(n).name}" defer></script>' for n in SCRIPTS)
    return _filled(
        {"<!--POLICY-->": "", "<!--STYLE-->": style, "<!--DATA-->": "", "<!--SCRIPT-->": script}
    )


def _filled(parts: dict[str, str]) -> str:
    """Return the page with its marks replaced in one pass; inserted text is not searched."""
    rest = (HERE / "page.html").read_text("utf-8")
    out = []
    for mark, text in parts.items():
        head, rest = rest.split(mark, 1)
        out += [head, text]
    return "".join([*out, rest])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(data: Json) -> str:
    """Return `data` as JSON in which nothing can end the element that holds it."""
    text = orjson.dumps(data).decode()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text

"""The page as one HTML file, which is served and handed on alike: styles, script and, for a colleague, the samples.

It fetches nothing from elsewhere, and its Content-Security-Policy lets it run no script but its own. What models wrote
is in it as compressed base64, which ends no element, and is shown as text alone.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

_PARTS = Path(__file__).parent / "page"
_SCRIPTS = ("text.js", "data.js", "samples.js", "page.js")  # in the order in which they use each other


def page(title: str, *, parts: Mapping[str, Any] | None = None) -> str:
    """Return the page.

    Args:
        title: Of the window.
        parts: What a file shows, by name, each unpacked when it is needed; None is a page that asks its server.
    """
    script = "\n".join((_PARTS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    style = (_PARTS / "page.css").read_text(encoding="utf-8")
    filled = (_PARTS / "page.html").read_text(encoding="utf-8")
    texts = {
        "POLICY": escape(policy(script, style, is_served=parts is None)),
        "TITLE": escape(title),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": "".join(_packed(name, content) for name, content in (parts or {}).items()),
    }
    return re.sub("@([A-Z]+)@", lambda place: texts[place[1]], filled)


def policy(script: str, style: str, *, is_served: bool) -> str:
    """Return the Content-Security-Policy of the page."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            f"connect-src {_own(is_served)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _own(is_served: bool) -> str:
    return "'self'" if is_served else "'none'"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packed(name: str, content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    packed = base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>\n'

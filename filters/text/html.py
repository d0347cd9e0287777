"""HTML to text: the main content as trafilatura finds it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(1)
def _settings() -> Any:
    """Return trafilatura's settings without a minimum size: rules decide what is too short."""
    from trafilatura.settings import use_config

    config = use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "25")
    config.set("DEFAULT", "MIN_OUTPUT_SIZE", "1")
    config.set("DEFAULT", "EXTRACTION_TIMEOUT", "0")
    return config


def main_text(html: str) -> str:
    """Return the main text of a page, empty if it has none.

    Comments are left out, tables are kept. Where the extractor finds nothing, all visible text is
    taken, so that a rule drops a short page and not the parser.
    """
    import trafilatura

    tree = trafilatura.load_html(html)
    if tree is None:
        return ""
    text = trafilatura.extract(
        tree, fast=True, include_comments=False, include_tables=True, config=_settings()
    )
    if not text:
        tree = trafilatura.load_html(html)
        text = trafilatura.html2txt(tree) if tree is not None else ""
    return str(text or "").strip()

"""HTML to text: the main content of a page."""

from __future__ import annotations

from filters.text.pages.choice import choose, dated
from filters.text.pages.tree import read_page, without_frames


def main_text(html: str) -> str:
    """Return the main text of a page, empty if the page has no text. No string raises.

    Blocks end with a newline, an item of a list starts with "- ", cells of a row stand between
    " | ". Menus, banners, related pages and readers' comments are left out.
    """
    page = read_page(html)
    if not page.texts:
        hidden = without_frames(html)
        if not hidden:
            return ""
        page = read_page(hidden)
    return "\n".join(page.texts[block] for block in choose(page, dated(html)))

"""Main text of HTML pages: `tree` reads a page, `choice` picks its blocks, `marks` names them."""

"""`python -m bibim`: the command line."""

from __future__ import annotations

from bibim.cli.app import main

if __name__ == "__main__":
    main()

"""Oracles run apart from the other tests: `make oracles-sample` (minutes), `make oracles` (an hour)."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("BIBIM_ORACLES") else ["test_*.py", "readers/test_*.py"]

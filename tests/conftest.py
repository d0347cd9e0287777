"""What all tests share: no deadline for an example, since the first one may load machine code."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("bibim", deadline=None)
settings.load_profile("bibim")

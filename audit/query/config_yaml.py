"""The sections of a config that changed rules stand for, as YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from audit.query.altered import question
from audit.query.frame import Frame


def changed_yaml(frame: Frame, texts: Sequence[str]) -> str:
    """Return the config's `rules`, and other sections, with the rules of `texts` in place.

    A run of the config with these sections keeps what `what-if` shows. Raises InputError for a rule
    that such a run would refuse.
    """
    config = frame.config
    new = question(frame, texts)
    sections: dict[str, Any] = {}
    if new.config.rules != config.rules:
        sections["rules"] = {scope: dict(columns) for scope, columns in new.config.rules.items()}
    for (section, key), value in new.limits.items():
        sections.setdefault(section, {})[key] = value
    return str(yaml.safe_dump(sections, allow_unicode=True, sort_keys=False))

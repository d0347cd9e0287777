"""Content keys: they decide whether stored rows of a stage are still valid.

A stage's *parameter key* covers its settings, code, models and the stages whose values it reads;
with a document shard's hash it decides whether stored rows are still valid. Its *stage key* adds
the documents as a whole, for a stage over survivors the rules before it, and what its manifest
notes: while it is unchanged, the stage has nothing to do.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.code_version import code_version
from pipelines.stages.base import Stage
from pipelines.stages.catalog import active_stages, effective_rules, stage
from schemas.config import Config
from schemas.errors import InputError
from schemas.manifest import content_key, sha256_file


def parameter_key(declared: Stage, config: Config) -> str:
    """Return the key of everything but the documents that a stage's values depend on."""
    return content_key(
        declared.name,
        declared.settings(config),
        code_version(*declared.code),
        [file_key(path) for path in declared.models(config)],
        [parameter_key(stage(name), config) for name in declared.reads],
    )


def stage_key(declared: Stage, config: Config, documents: str) -> str:
    """Return the key under which the whole stage is done. `documents`: their digest."""
    key, noted = shards_key(declared, config, documents), declared.noted(config)
    return key if noted is None else content_key(key, noted)


def shards_key(declared: Stage, config: Config, documents: str) -> str:
    """Return the key of all shards of a stage together, without what its manifest notes."""
    parts = [parameter_key(declared, config), documents]
    if declared.survivors_only:
        parts += [f"{rule}: {rule.reason}" for rule in effective_rules(config, declared.name)]
        active = active_stages(config)
        earlier = active[1 : active.index(declared)]
        parts += [parameter_key(each, config) for each in earlier]
        parts += [stage_key(each, config, documents) for each in earlier if each.whole]
    return content_key(*parts)


_FILE_KEYS: dict[tuple[str, int, int], str] = {}


def file_key(path: Path) -> str:
    """Return the SHA-256 of a file, cached while its size and time are unchanged."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file that exists") from None
    known = (str(path), status.st_size, status.st_mtime_ns)
    if known not in _FILE_KEYS:
        _FILE_KEYS[known] = sha256_file(path)
    return _FILE_KEYS[known]

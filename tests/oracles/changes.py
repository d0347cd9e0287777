"""What the staleness oracle changes: every key of the configuration, and every file of a world.

A change of a key is a mapping from dotted keys to values, on top of one of the base configs.
`seen` says that a fresh run of it must differ from a fresh run of the base, so that the comparison
can fail; it is false for keys that decide no output.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.oracles.world import Data, earlier, execute

GONE = object()
"""The value of a key that is taken out."""


@dataclass(frozen=True)
class Change:
    """One change of a config or, with `act`, of the files that it names."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    base: str = "plain"
    before: dict[str, Any] = field(default_factory=dict)
    """Further keys of the base."""
    seen: bool = True
    act: Callable[[Path], None] | None = None

    @property
    def base_stops(self) -> bool:
        """Whether the base asks for what it cannot have, so that a change has to allow it."""
        return self.name.startswith("mixture.allow_short = true")


def put(config: Data, key: str, value: Any) -> None:
    """Set a dotted key; a number is a place in a list. A function changes what is there."""
    *parts, last = key.split(".")
    place: Any = config
    for part in parts:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if callable(value):
        value = value(place.get(last))
    if value is GONE:
        place.pop(last, None)
    else:
        place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)


def changed(config: Data, values: dict[str, Any]) -> Data:
    """Return a copy of `config` with `values` put into it."""
    config = copy.deepcopy(config)
    for key, value in values.items():
        put(config, key, value)
    return config


def keys_of(schema: Data) -> set[str]:
    """Return the dotted keys of a JSON schema that are not sections."""
    found: set[str] = set()

    def walk(node: Data, prefix: str) -> bool:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        inner = [walk(each, prefix) for each in node.get("anyOf", []) + node.get("allOf", [])]
        for name, each in node.get("properties", {}).items():
            if not walk(each, f"{prefix}{name}."):
                found.add(prefix + name)
        if isinstance(node.get("additionalProperties"), dict):
            inner.append(walk(node["additionalProperties"], f"{prefix}NAME."))
        if isinstance(node.get("items"), dict):
            inner.append(walk(node["items"], f"{prefix[:-1]}[]."))
        return "properties" in node or any(inner)

    walk(schema, "")
    return found


def reversed_items(value: Data) -> Data:
    return dict(reversed(value.items()))


def renamed(old: str, new: str) -> Callable[[Data], Data]:
    return lambda value: {new if name == old else name: each for name, each in value.items()}


def of(*values: Any, seen: bool = True, base: str = "plain", **before: Any) -> list[Any]:
    """Return the values that a key takes, with what their base needs."""
    return [(value, seen, base, before) for value in values]


WHOLE = {"mixture.tokens": 4000}
STAGE = "mixture.stages.1"
KEYS: dict[str, list[Any]] = {
    "name": of("other"),
    "data": [({"data": "moved"}, True, "plain", {})],
    "sources.NAME.component": [
        ({"sources.web.component": "en"}, True, "plain", {}),
        ({"sources.ko.component": "auto"}, False, "plain", {}),
    ],
    "sources.NAME.path": [
        ({"sources.ko.path": "${data}/ko-other.jsonl"}, True, "plain", {}),
        ({"sources.ko.path": "${data}/moved/ko.jsonl"}, True, "plain", {}),
        ({"sources.ko.path": "${data}/ko*.jsonl"}, True, "plain", {}),
    ],
    "sources.NAME.format": [({"sources.en.format": "text"}, True, "plain", {})],
    "sources.NAME.text": [({"sources.en.text": "body"}, True, "plain", {})],
    "sources.NAME.encoding": [({"sources.en.encoding": "cp949"}, False, "plain", {})],
    "sources.NAME.license": [({"sources.en.license": "MIT"}, True, "plain", {})],
    "sources.NAME.include": [({"sources.code.include": ["*.py"]}, True, "plain", {})],
    "sources.NAME.limit": [
        ({"sources.ko.limit": 9}, True, "plain", {}),
        ({"sources.ko.limit": 8}, True, "plain", {"sources.ko.limit": 9}),
    ],
    "ingest.max_reject_share": of(0.001) + of(0.5, seen=False),
    "ingest.max_document_bytes": of(1200),
    "ingest.repair": of([], ["controls"]),
    "ingest.shard_bytes": of(3000),
    "identify.model": of("${data}/models/lid.ftz", seen=False) + of("${data}/models/lid-other.ftz"),
    "identify.thresholds": of({"ko": 0.999, "en": 0.999}),
    "identify.default_threshold": of(1.0),
    "identify.components": of({"ko": "en", "en": "ko"}),
    "measure.check_syntax": of(True),
    "measure.cut_tails": of(False),
    "dedup.enabled": of(False),
    "dedup.unit": of("words", "morphemes", base="rich"),
    "dedup.ngram": of(9) + of(3, base="rich"),
    "dedup.threshold": of(0.3, 0.97),
    "dedup.permutations": of(64),
    "dedup.bands": [({"dedup.bands": 40, "dedup.rows": 2}, True, "plain", {})],
    "dedup.rows": [
        ({"dedup.bands": 5, "dedup.rows": 25}, True, "plain", {"dedup.bands": 40, "dedup.rows": 2})
    ],
    "dedup.verify": of(False, **{"dedup.bands": 60, "dedup.rows": 1}),
    "dedup.against": of([], base="rich") + of(["${data}/earlier"]),
    "dedup.urls": of(True) + of(False, **{"dedup.urls": True}),
    "dedup.lines.enabled": of(True, **{"dedup.lines.common": {"default": 2}})
    + of(False, base="rich"),
    "dedup.lines.rare": of({"ko": 3, "default": 3}, base="rich", seen=False),
    "dedup.lines.common": of({"ko": 50, "default": 50}, base="rich"),
    "dedup.lines.paragraphs": of(None, base="rich", seen=False) + of(1, base="rich"),
    "dedup.semantic.enabled": of(True) + of(False, base="rich"),
    "dedup.semantic.threshold": of(0.5, base="rich"),
    "dedup.semantic.cells": of(5, base="rich", seen=False),
    "dedup.prefer": of(["web", "en"]) + of(["ko"], **{"dedup.prefer": ["web"]}),
    "dedup.seed": of(7),
    "decontaminate.against": of(["${data}/bench.jsonl"], ["${data}/bench-other.jsonl"])
    + of([], base="rich"),
    "decontaminate.ngram": of(3, base="rich"),
    "decontaminate.action": of("keep", base="rich"),
    "pii.action": of("drop", "keep", "pseudonymise") + of("keep", base="rich"),
    "pii.entities": of({"EMAIL_ADDRESS": "keep"}) + of({"PHONE_NUMBER": "drop"}, base="rich"),
    "pii.disable": of(["EMAIL_ADDRESS", "PHONE_NUMBER"], []) + of(["KR_RRN"], base="rich"),
    "pii.drop_above": of(0, 2),
    "pii.score_threshold": of(1.0),
    "pii.keep_demographics": of(True),
    "pii.key": of("two", base="rich"),
    "toxicity.model": of("${data}/models/toxicity.npz", seen=False)
    + of("${data}/models/toxicity-other.npz"),
    "toxicity.label": of("toxic", seen=False),
    "toxicity.batch": of(8, seen=False),
    "toxicity.device": of("cpu", seen=False),
    "toxicity.drop_above": of(None, 0.05),
    "toxicity.spam_above": of(None, seen=False) + of(0.001),
    "quality.embedder": of("${data}/models/none", seen=False),
    "quality.model": of("${data}/models/quality.npz", seen=False)
    + of("${data}/models/quality-other.npz"),
    "quality.drop_below": of(0.3, 0.9) + of(0.3000001, **{"quality.drop_below": 0.3}, seen=False),
    "quality.batch": of(8, seen=False) + of(3, seen=False, base="rich"),
    "quality.device": of("cpu", seen=False),
    "quality.accelerator": of("type:nvidia-l4;count:1", seen=False),
    "tokenizer.path": of("${data}/tokenizer-a/tokenizer.model", "${data}/tokenizer-a")
    + of(
        "${data}/tokenizer-b/tokenizer.model",
        **{"tokenizer.path": "${data}/tokenizer-a/tokenizer.model"},
    ),
    "tokenizer.vocab_size": of(1050) + of(1050, base="rich"),
    "tokenizer.morphemes": of(True),
    "tokenizer.sample": of(9_000, 12_000),
    "tokenizer.seed": of(5, **{"tokenizer.sample": 9_000}),
    "mixture.tokens": of(4000) + of(2000, base="rich"),
    "mixture.strategy": of("proportional", "unimax")
    + of("temperature", **{"mixture.temperature": 3}),
    "mixture.weights.NAME.share": [
        ({"mixture.weights": {"ko": 0.2, "en": 0.3, "code": 0.5}}, True, "plain", {}),
        ({"mixture.weights": {"code": 0.3, "en": 0.3, "ko": 0.4}}, False, "plain", {}),
    ],
    "mixture.weights.NAME.sources": [
        ({"mixture.weights.ko": {"share": 0.4, "sources": {"ko": 1, "web": 4}}}, True, "plain", WHOLE),
        ({"mixture.weights.ko": {"share": 0.4, "sources": {"ko": 0.1}}}, True, "rich", {}),
    ],
    "mixture.temperature": of(
        1.5, **{"mixture.strategy": "temperature", "mixture.temperature": 4}, seen=True
    ),
    "mixture.upsample[].when": [
        ({"mixture.upsample.0.when": "chars>=300"}, True, "rich", {}),
        ({"mixture.upsample": [{"when": "chars>=400", "factor": 3}]}, True, "plain", WHOLE),
        ({"mixture.upsample": [{"when": "ko.words>=40", "factor": 2}]}, True, "plain", WHOLE),
        ({"mixture.upsample": []}, True, "rich", {}),
    ],
    "mixture.upsample[].factor": [({"mixture.upsample.0.factor": 3}, True, "rich", {})],
    "mixture.max_epochs": of(1, 2.5),
    "mixture.stages[].share": [
        ({"mixture.stages.0.share": 0.3, f"{STAGE}.share": 0.7}, True, "rich", {})
    ],
    "mixture.stages[].context": [({f"{STAGE}.context": 128}, True, "rich", {})],
    "mixture.stages[].weights.NAME.share": [
        ({f"{STAGE}.weights": {"ko": 0.2, "en": 0.8}}, True, "rich", {})
    ],
    "mixture.stages[].weights.NAME.sources": [
        ({f"{STAGE}.weights.ko": {"share": 0.5, "sources": {"ko": 1}}}, True, "rich", {})
    ],
    "mixture.stages[].only": [({f"{STAGE}.only": ["chars>=300"]}, True, "rich", {})],
    "mixture.allow_short": of(True, **{"mixture.tokens": 10_000_000}),
    "mixture.shards": of(3),
    "mixture.formats": of(["megatron", "parquet"], ["mds"]) + of(["megatron"], base="rich"),
    "mixture.seed": of(9) + of(9, base="rich"),
    "mixture.window": of(1000, 3000),
    "mixture.window_tolerance": of(0.5),
    "guards.source_loss": of(None, 0.01),
    "guards.idle_rule": of(False),
    "guards.steep_rule": of(None, seen=False),
    "guards.large_cluster": of(2),
    "guards.short_component": of(None, seen=False),
    "guards.least_documents": of(1),
    "guards.fail_on": of(["source_loss"], **{"guards.least_documents": 1, "guards.source_loss": 0.01}),
}  # fmt: skip
"""Every key → (value, or dotted keys and values; seen; base; further keys of the base)."""

RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "seventh digit": ({"rules.ko.hangul_ratio": ">=0.9000001"}, {"rules.ko.hangul_ratio": ">=0.9"}),
    "tenth digit": ({"rules.ko.chars": ">=200.0000001"}, {"rules.ko.chars": ">=200"}),
    "large number": ({"rules.all.bytes": "<=1048580"}, {"rules.all.bytes": "<=1048576"}),
    "operator": ({"rules.en.words": ">70"}, {"rules.en.words": ">=70"}),
    "two sides": ({"rules.en.words": ">=5, <=80"}, {}),
    "order of columns": ({"rules.ko": reversed_items}, {"rules.ko": {"words": ">=90", "chars": ">=400"}}),
    "order of scopes": ({"rules": reversed_items}, {"rules": {"ko": {"words": ">=90"}, "all": {"chars": ">=400"}}}),
    "scope of a source": ({"rules": {"web": {"chars": ">=400"}}}, {"rules": {"all": {"chars": ">=400"}}}),
    "null: drop": ({"rules.all": {"license": {"in": ["MIT"], "null": "drop"}}}, {"rules.all": {"license": {"in": ["MIT"], "null": "keep"}}}),
    "in": ({"rules.ko.license": "in [MIT]"}, {"rules.ko.license": "in [MIT, CC0-1.0]"}),
    "not equal": ({"rules.code.code_lang": "!=javascript"}, {}),
    "language": ({"rules.web.lang": "==ko"}, {}),
    "address": ({"rules.web.url": "!=https://example.org/page/3"}, {}),
    "none": ({"rules": {}}, {}),
    "of dedup": ({"rules.all.cluster_size": "<=1"}, {}),
    "of redact": ({"rules.all.pii_count": "<=1"}, {}),
    "of screen": ({"rules.all.spam": "<=0.0005"}, {}),
    "of score": ({"rules.all.quality": ">=0.31"}, {"rules.all.quality": ">=0.3"}),
    "of tokenize": ({"rules.all.tokens": ">=150"}, {}),
    "of lines": ({"rules.all.repeated": "<=0.01"}, {"dedup.lines.enabled": True, "dedup.lines.common": {"default": 2}}),
    "syntax": ({"rules.code.syntax_ok": "==1"}, {"measure.check_syntax": True}),
    "of sign": ({"rules.all.contamination": "<=0"}, {"decontaminate.against": ["${data}/bench.jsonl"], "decontaminate.action": "keep"}),
}  # fmt: skip
UNSEEN_RULES = {"seventh digit", "tenth digit", "large number", "of lines", "of sign"}
"""Rules that may drop the same documents of this world before and after."""

SHAPES: dict[str, dict[str, Any]] = {
    "sources reversed": {"sources": reversed_items},
    "source renamed": {"sources": renamed("web", "pages")},
    "source renamed to a neighbour's shape": {"sources": renamed("en", "ko-00000")},
    "source removed": {"sources.web": GONE},
    "source added": {"sources.more": {"component": "en", "path": "${data}/old.jsonl"}},
    "two sources change names": {
        "sources": lambda s: {**s, "en": s["web"], "web": s["en"]},
    },
    "component renamed": {
        "sources.code.component": "program",
        "mixture.weights": {"ko": 0.4, "en": 0.3, "program": 0.3},
    },
}
"""Changes of whole sections."""


def lines_of(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text("utf-8").splitlines())) + "\n", "utf-8")


def edited(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Return an act that changes the lines of a file."""
    return lambda world: lines_of(world / name, change)


def moved(old: str, new: str) -> Callable[[Path], None]:
    return lambda world: os.rename(world / old, world / new)


def replaced(old: str, new: str) -> Callable[[Path], None]:
    return lambda world: (world / old).write_bytes((world / new).read_bytes()) and None


def touched(name: str) -> Callable[[Path], None]:
    return lambda world: os.utime(world / name)


def same_size(lines: list[str]) -> list[str]:
    """Change letters of the first record and keep its size."""
    record = json.loads(lines[0])
    record["text"] = record["text"][::-1]
    return [json.dumps(record, ensure_ascii=False), *lines[1:]]


def rerun_earlier(world: Path) -> None:
    config = earlier(world) | {"rules": {"all": {"chars": ">=410"}}}
    config["tokenizer"]["vocab_size"] = 900
    assert execute(config, world / "earlier") is None


def new_earlier(world: Path) -> None:
    shutil.rmtree(world / "earlier")
    lines_of(world / "old.jsonl", lambda lines: lines[3:])
    assert execute(earlier(world), world / "earlier") is None


MODEL = "${{data}}/models/{}"
SCREEN = {"toxicity.model": MODEL.format("toxicity.npz")}
SCORE = {"quality.model": MODEL.format("quality.npz"), "quality.drop_below": 0.3}
LANGUAGE = {"identify.model": MODEL.format("lid.ftz")}
PIECES = {"tokenizer.path": "${data}/tokenizer-a/tokenizer.model"}
FOLDER = {"tokenizer.path": "${data}/tokenizer-a"}
BENCH = {"decontaminate.against": ["${data}/bench.jsonl"]}
BENCH_GLOB = {"decontaminate.against": ["${data}/bench.jsonl", "${data}/bench-other.jsonl"]}
GLOB = {"sources.en.path": "${data}/en*.jsonl"}

FILES: list[Change] = [
    Change("record appended", act=edited("en.jsonl", lambda x: [*x, x[0].replace("en-0", "en-x")])),
    Change("record removed", act=edited("ko.jsonl", lambda x: x[1:])),
    Change("records reversed", act=edited("en.jsonl", lambda x: x[::-1])),
    Change("record of the same size", act=edited("ko.jsonl", same_size)),
    Change("record of the same size, rich", base="rich", act=edited("ko.jsonl", same_size)),
    Change("broken records repaired", act=edited("ko.jsonl", lambda x: x[:-2])),
    Change("more broken records", act=edited("en.jsonl", lambda x: [*x, "{"])),
    Change("source touched", seen=False, act=touched("ko.jsonl")),
    Change("source replaced", act=replaced("ko.jsonl", "ko-other.jsonl")),
    Change("source emptied", act=edited("web.jsonl", lambda x: [])),
    Change("file of a glob renamed", before=GLOB, act=moved("en.jsonl", "en2.jsonl")),
    Change("file of a glob added", before=GLOB, act=lambda w: shutil.copy(w / "old.jsonl", w / "en-b.jsonl") and None),
    Change("source gone", act=lambda w: (w / "web.jsonl").unlink()),
    Change("code edited", act=edited("code/stat.py", lambda x: [*x, "A = 1"])),
    Change("code added", act=lambda w: shutil.copy(w / "code/stat.py", w / "code/status.py") and None),
    Change("code removed", act=lambda w: (w / "code/token.py").unlink()),
    Change("code renamed", act=moved("code/token.py", "code/tokens.py")),
    Change("code renamed to another language", act=moved("code/sum0.js", "code/sum0.ts")),
    Change("code moved", act=lambda w: (w / "code/in").mkdir() or os.rename(w / "code/stat.py", w / "code/in/stat.py")),
    Change("language model replaced", before=LANGUAGE, act=replaced("models/lid.ftz", "models/lid-other.ftz")),
    Change("screen's model replaced", before=SCREEN, act=replaced("models/toxicity.npz", "models/toxicity-other.npz")),
    Change("screen's model touched", before=SCREEN, seen=False, act=touched("models/toxicity.npz")),
    Change("head replaced", before=SCORE, act=replaced("models/quality.npz", "models/quality-other.npz")),
    Change("head renamed back", before=SCORE, values={"quality.model": MODEL.format("quality-2.npz")}, seen=False, act=lambda w: shutil.copy(w / "models/quality.npz", w / "models/quality-2.npz") and None),
    Change("tokenizer replaced", before=PIECES, act=replaced("tokenizer-a/tokenizer.model", "tokenizer-b/tokenizer.model")),
    Change("tokenizer of a folder replaced", before=FOLDER, act=replaced("tokenizer-a/tokenizer.model", "tokenizer-b/tokenizer.model")),
    Change("item edited", before=BENCH, act=edited("bench.jsonl", lambda x: x[1:])),
    Change("items reversed", before=BENCH, act=edited("bench.jsonl", lambda x: x[::-1])),
    Change("items' names changed", before=BENCH, act=edited("bench.jsonl", lambda x: [each.replace('"id": "', '"id": "n') for each in x])),
    Change("benchmark replaced", base="rich", act=replaced("bench.jsonl", "bench-other.jsonl")),
    Change("benchmark renamed", before={"decontaminate.against": ["${data}/bench-other.jsonl"]}, values={"decontaminate.against": ["${data}/bench-2.jsonl"]}, act=lambda w: shutil.copy(w / "bench-other.jsonl", w / "bench-2.jsonl") and None),
    Change("benchmarks reversed", before=BENCH_GLOB, values={"decontaminate.against": list(reversed(BENCH_GLOB["decontaminate.against"]))}, seen=False),
    Change("earlier run with other rules", base="rich", act=rerun_earlier),
    Change("earlier run made again of other texts", base="rich", act=new_earlier),
    Change("earlier run moved", base="rich", seen=False, values={"dedup.against": ["${data}/earlier-2"]}, act=lambda w: shutil.copytree(w / "earlier", w / "earlier-2") and None),
]  # fmt: skip


def changes() -> list[Change]:
    """Return all changes, those of one base after another."""
    found = []
    for key, cases in KEYS.items():
        for value, seen, base, before in cases:
            values = value if isinstance(value, dict) and _dotted(value, key) else {key: value}
            shown = json.dumps(value, ensure_ascii=False)
            given = f" beside {json.dumps(before, ensure_ascii=False)}" if before else ""
            name = f"{key} = {shown}{given}" + (f", {base}" if base != "plain" else "")
            found.append(Change(name, values, base, before, seen))
    for name, (values, before) in RULES.items():
        seen = name not in UNSEEN_RULES
        found.append(Change(f"rules: {name}", values, "plain", before, seen))
    for name, values in SHAPES.items():
        found.append(Change(name, values, seen=name != "sources reversed"))
        found.append(Change(f"{name}, rich", values, "rich", seen=name != "sources reversed"))
    return found + FILES


def _dotted(value: Data, key: str) -> bool:
    """Return whether `value` maps dotted keys to values, not a value of `key` itself."""
    root = key.partition(".")[0]
    return bool(value) and all(name.partition(".")[0] == root for name in value)

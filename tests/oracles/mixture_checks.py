"""What docs/mixtures.md promises of a written mixture, checked on its files one sequence at a time."""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tests.oracles.mixture_corpus import Doc
from tests.oracles.mixture_requests import component_shares, eligible, factor, most_tokens

FEW = 8
"""Tokens within which a source of many documents meets its target."""
MANY = 60
"""Documents of a source from which on it is one of many."""
TYPES = {4: "<i4", 8: "<u2"}
Fault = tuple[str, str]
"""(promise that is broken, how)"""


@dataclass
class Placed:
    """A sequence as the files have it, and the document that the side-car names."""

    stage: int
    shard: int
    doc: Doc
    epoch: int
    ids: list[int]
    start: int = 0
    """Tokens of the whole mixture before it."""


@dataclass
class Written:
    """A mixture as its files have it."""

    request: dict[str, Any]
    docs: list[Doc]
    manifest: dict[str, Any]
    sequences: list[Placed]

    def __post_init__(self) -> None:
        self._may = [
            {doc.id for doc in self.docs if eligible(self.request, stage, doc)}
            for stage in range(len(self.stages))
        ]
        self._longest: dict[tuple[int, str], int] = defaultdict(int)
        for one in self.sequences:
            key = (one.stage, one.doc.component)
            self._longest[key] = max(self._longest[key], one.doc.size)

    def may(self, stage: int, doc: Doc) -> bool:
        """Return whether a stage may use the document: by its `only`, and its length.

        Where the manifest has a component under `left_out`, the longest ones were left out.
        """
        if doc.id not in self._may[stage]:
            return False
        left_out = doc.component in self.manifest["left_out"]
        return not left_out or doc.size <= self._longest[stage, doc.component]

    def of_stage(self, stage: int) -> list[Placed]:
        return [one for one in self.sequences if one.stage == stage]

    @property
    def stages(self) -> list[dict[str, Any]]:
        return self.request.get("stages") or [{"share": "1"}]


def read_written(folder: Path, request: dict[str, Any], docs: list[Doc]) -> Written:
    """Read a mixture by the description of Megatron's format, without the project's reader."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    by_id = {doc.id: doc for doc in docs}
    sequences, start = [], 0
    for number, shard in enumerate(manifest["shards"]):
        rows = pq.read_table(folder / f"{shard['name']}.parquet").to_pylist()
        for row, ids in zip(rows, _sequences(folder / shard["name"]), strict=True):
            doc = by_id[row["id"]]
            named = (row["source"], row["component"], row["tokens"])
            if named != (doc.source, doc.component, len(ids)):
                raise AssertionError(f"{shard['name']}: side-car {named} of {doc.id.hex()}")
            sequences.append(Placed(shard["stage"], number, doc, row["epoch"], ids, start))
            start += len(ids)
    return Written(request, docs, manifest, sequences)


def _sequences(stem: Path) -> Iterator[list[int]]:
    raw = Path(f"{stem}.idx").read_bytes()
    magic, version, code, count, indices = struct.unpack_from("<9sQBQQ", raw)
    assert (magic, version, indices) == (b"MMIDIDX\x00\x00", 1, count + 1), (magic, version)
    at = struct.calcsize("<9sQBQQ")
    lengths = np.frombuffer(raw, "<i4", count, at)
    places = np.frombuffer(raw, "<i8", count, at + 4 * count)
    assert np.frombuffer(raw, "<i8", indices, at + 12 * count).tolist() == [*range(count + 1)]
    tokens = np.fromfile(f"{stem}.bin", TYPES[code])
    for length, place in zip(lengths, places, strict=True):
        first = place // tokens.itemsize
        yield tokens[first : first + length].tolist()


def faults(written: Written, end: int) -> Iterator[Fault]:
    """Yield each broken promise. `end`: the id of the symbol at the end of a document."""
    yield from contents(written, end)
    for check in (epochs, least_used, distances, targets, closest, shards, upsampled, windows):
        yield from check(written)


def contents(written: Written, end: int) -> Iterator[Fault]:
    """A sequence is one document, encoded with its masks and cuts, and its end symbol."""
    for one in written.sequences:
        if one.ids != [*one.doc.ids, end]:
            yield "contents", f"{one.doc.id.hex()}: not SentencePiece of {one.doc.tokens_of!r}"
        if not written.may(one.stage, one.doc):
            yield "contents", f"{one.doc.id.hex()} is outside `only` of stage {one.stage}"


def epochs(written: Written) -> Iterator[Fault]:
    """`max_epochs` limits every document and every source, over all stages together."""
    allowed = Fraction(str(written.request["max_epochs"]))
    seen: dict[bytes, list[int]] = defaultdict(list)
    used: dict[str, int] = defaultdict(int)
    for one in written.sequences:
        seen[one.doc.id].append(one.epoch)
        used[one.doc.source] += one.doc.size
    for name, found in seen.items():
        if len(found) > math.ceil(allowed):
            yield "max_epochs", f"{name.hex()} {len(found)} times for max_epochs {allowed}"
        if found != list(range(len(found))):
            yield "epoch numbers", f"{name.hex()} has epochs {found}"
    for source, tokens in used.items():
        have = sum(doc.size for doc in written.docs if doc.source == source)
        if tokens > allowed * have:
            yield "max_epochs", f"{source}: {tokens} of {have} tokens for max_epochs {allowed}"


def _pools(written: Written) -> dict[tuple[Any, ...], list[Doc]]:
    pools: dict[tuple[Any, ...], list[Doc]] = defaultdict(list)
    for doc in written.docs:
        pools[doc.source, doc.component, factor(written.request, doc)].append(doc)
    return pools


def least_used(written: Written) -> Iterator[Fault]:
    """No document is repeated while another of its source, that its stage may use, is not.

    Where a later `only` needs documents, an earlier stage has to spare them: then one counts that
    is still below `max_epochs` at the end, and more of them than whole documents explain.
    """
    spare = any(stage.get("only") for stage in written.stages)
    limit = math.floor(written.request["max_epochs"])
    final: dict[bytes, int] = defaultdict(int)
    for one in written.sequences:
        final[one.doc.id] += 1
    for key, docs in _pools(written).items():
        uses = {doc.id: 0 for doc in docs}
        own = [one for one in written.sequences if one.doc.id in uses]
        for one in own:
            waiting = [
                doc
                for doc in docs
                if uses[doc.id] < uses[one.doc.id]
                and written.may(one.stage, doc)
                and (not spare or final[doc.id] < limit)
            ]
            slack = max(doc.size for doc in docs) if spare else 0
            if sum(doc.size for doc in waiting) > slack:
                yield (
                    "least used first",
                    f"{key[:2]}, stage {one.stage}: {one.doc.id.hex()} for the "
                    f"{uses[one.doc.id] + 1}. time before {waiting[0].id.hex()} for the "
                    f"{uses[waiting[0].id] + 1}. ({len(waiting)} of {len(docs)} waiting)",
                )
                break
            uses[one.doc.id] += 1


def distances(written: Written) -> Iterator[Fault]:
    """Copies in a stage are a window apart, or a whole pass where that is shorter."""
    window = _count(written.request["window"])
    for stage in range(len(written.stages)):
        own = written.of_stage(stage)
        total = sum(len(one.ids) for one in own)
        longest = max((len(one.ids) for one in own), default=0)
        for key, docs in _pools(written).items():
            members = {doc.id for doc in docs if written.may(stage, doc)}
            pool = sum(doc.size for doc in docs if doc.id in members)
            taken = sum(len(one.ids) for one in own if one.doc.id in members)
            # A document that an earlier stage could not use comes first, and one that a later
            # stage needs is spared: docs/mixtures.md.
            others = [number for number in range(len(written.stages)) if number != stage]
            late = any(
                not written.may(other, doc) for other in others for doc in docs if doc.id in members
            )
            if not taken or late:
                continue
            whole = pool * total / taken
            if window >= whole:
                continue  # docs/mixtures.md promises no distance there
            last: dict[bytes, int] = {}
            for one in own:
                gap = one.start - last.get(one.doc.id, -(10**12))
                if one.doc.id in members and gap < window - 2 * longest:
                    yield (
                        "a window apart",
                        f"{key[:2]}, stage {stage}: copies of {one.doc.id.hex()} stand {gap} "
                        f"tokens apart, promised {window} (longest document {longest})",
                    )
                    break
                last[one.doc.id] = one.start


def _count(value: int | str) -> int:
    return int(float(value[:-1]) * 1_000_000) if isinstance(value, str) else value


def expected_targets(written: Written, stage: int) -> dict[str, float]:
    share = float(Fraction(written.stages[stage]["share"]))
    tokens = written.manifest["tokens"] * share
    shares = component_shares(written.request, stage, written.docs)
    return {name: tokens * part for name, part in shares.items() if part}


def targets(written: Written) -> Iterator[Fault]:
    """Components get their shares to within a few tokens, and never more."""
    if written.request["strategy"] == "unimax" or written.request.get("allow_short"):
        return
    wanted: dict[str, float] = defaultdict(float)
    roomy = written.manifest["tokens"] < 0.9 * most_tokens(written.request, written.docs)
    for stage in range(len(written.stages)):
        own = written.of_stage(stage)
        for name, target in expected_targets(written, stage).items():
            wanted[name] += target
            mine = [one for one in own if one.doc.component == name]
            got = sum(len(one.ids) for one in mine)
            # Many short documents of a source can meet any target that leaves some of them; of
            # few, the next one may be too long.
            pools: dict[tuple[Any, ...], set[bytes]] = defaultdict(set)
            for one in mine:
                pools[one.doc.source, factor(written.request, one.doc)].add(one.doc.id)
            longest = max(d.size for d in written.docs if d.component == name)
            slack = sum(FEW if len(ids) >= MANY else longest for ids in pools.values())
            if got - target > 1 + FEW or (pools and roomy and got - target < -slack):
                yield (
                    "shares",
                    f"stage {stage}, {name}: {got} tokens in {len(mine)} sequences for {target:.1f}",
                )
    entries = {entry["component"]: entry["target"] for entry in written.manifest["components"]}
    for name, target in wanted.items():
        if abs(entries.get(name, 0) - target) > 1 + len(written.stages):
            yield "targets", f"{name}: target {entries.get(name)}, promised {target:.1f}"


def closest(written: Written) -> Iterator[Fault]:
    """A source of many documents meets its target, where whole passes and a part of one can."""
    if len(written.stages) > 1:
        return
    pools = _pools(written)
    missed: dict[str, list[str]] = defaultdict(list)
    cannot: set[str] = set()
    for entry in written.manifest["sources"]:
        key = (entry["source"], entry["component"])
        docs = [
            doc
            for (source, component, weight), pool in pools.items()
            for doc in pool
            if (source, component, float(weight)) == (*key, entry["factor"]) and written.may(0, doc)
        ]
        whole = sum(doc.size for doc in docs)
        left = entry["target"] % max(whole, 1)
        sums = 1
        for doc in docs:
            sums |= sums << doc.size
        best = entry["target"] - left + (sums & ((1 << (left + 1)) - 1)).bit_length() - 1
        if whole and (len(docs) < MANY or best < entry["target"] - FEW):
            cannot.add(entry["component"])  # the component's other sources replace it
        if len(docs) >= MANY and abs(entry["achieved"] - entry["target"]) > 2 * FEW:
            missed[entry["component"]].append(
                f"{key}: {entry['achieved']} tokens for {entry['target']}, {best} can be had from "
                f"{len(docs)} documents of {whole} tokens"
            )
    for component, texts in missed.items():
        if component not in cannot:
            yield "closest", texts[0]


def shards(written: Written) -> Iterator[Fault]:
    """Shards of a stage have about the same number of tokens; none is empty."""
    record = written.manifest["shards"]
    if len(record) != written.request["shards"]:
        yield "shards", f"{len(record)} shards for {written.request['shards']}"
    for stage in range(len(written.stages)):
        numbers = [n for n, shard in enumerate(record) if shard["stage"] == stage]
        sizes = [sum(len(s.ids) for s in written.sequences if s.shard == n) for n in numbers]
        even = sum(sizes) / max(len(sizes), 1)
        longest = max((len(one.ids) for one in written.of_stage(stage)), default=0)
        if [record[n]["tokens"] for n in numbers] != sizes:
            yield "shards", f"stage {stage}: the manifest's tokens are not {sizes}"
        if min(sizes, default=0) == 0:
            yield "empty shard", f"stage {stage}: tokens per shard {sizes}"
        places = np.abs(np.cumsum(sizes) - even * np.arange(1, len(sizes) + 1))
        if max(places, default=0) > max(longest, even / 8) + 1:
            yield "even shards", f"stage {stage}: {sizes}, longest document {longest}"


def upsampled(written: Written) -> Iterator[Fault]:
    """A document of weight f occurs f times as often as its source's others, up to `max_epochs`."""
    if len(written.stages) > 1 or not written.request.get("upsample"):
        return
    limit = written.request["max_epochs"]
    by_source: dict[str, dict[Fraction, float]] = defaultdict(dict)
    for (source, component, weight), pool in _pools(written).items():
        docs = [doc for doc in pool if written.may(0, doc)]
        have = sum(doc.size for doc in docs)
        ids = {doc.id for doc in docs}
        took = sum(len(one.ids) for one in written.sequences if one.doc.id in ids)
        if len(docs) >= 20 and took < (limit - 0.05) * have:
            by_source[f"{source}, {component}"][weight] = took / have / float(weight)
    for name, found in by_source.items():
        if max(found.values()) > min(found.values()) * 1.1 + 0.05:
            yield "upsampling", f"{name}: epochs by weight, divided by it: {found}"


def windows(written: Written) -> Iterator[Fault]:
    """In every window each component is within the tolerance, where its documents fit.

    docs/mixtures.md says which length fits "about"; half of that must fit.
    """
    window = _count(written.request["window"])
    tolerance = Fraction(str(written.request["window_tolerance"]))
    for stage in range(len(written.stages)):
        own = written.of_stage(stage)
        total = sum(len(one.ids) for one in own)
        names = sorted({one.doc.component for one in own})
        if total <= window or len(names) < 2:
            continue
        sizes = {n: [len(s.ids) * (s.doc.component == n) for s in own] for n in names}
        slack = float(tolerance) * window
        fits = all(
            max(sizes[n]) <= min(slack / 2, slack * (w := sum(sizes[n]) / total) / (1 - w))
            for n in names
        )
        edges = np.cumsum([0, *(len(one.ids) for one in own)])
        for name in names:
            share = sum(sizes[name]) / total
            sums = np.cumsum([0, *sizes[name]])
            starts = np.concatenate([edges, edges - window])
            starts = starts[(starts >= 0) & (starts <= total - window)]
            inside = np.interp(starts + window, edges, sums) - np.interp(starts, edges, sums)
            worst = float(np.abs(inside / window / share - 1).max())
            if fits and worst > float(tolerance):
                yield (
                    "window shares",
                    f"stage {stage}, {name}: {worst:.3f} off in a window of {window}, "
                    f"tolerance {tolerance}",
                )


def smallest(cases: Sequence[tuple[int, Any]]) -> Any:
    """Return the case of the least size."""
    return min(cases, key=lambda case: case[0])[1]

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
from tests.oracles.mixture_requests import (
    component_shares,
    eligible,
    factor,
    most_tokens,
    pool_targets,
)

FEW = 8
"""Tokens within which a source of many documents meets its target."""
MANY = 60
"""Documents of a source from which on it is one of many."""
LEFT = 10
"""Documents that must be left of a group to choose from."""
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
        self._stages = {
            doc.id: tuple(stage for stage, ids in enumerate(self._may) if doc.id in ids)
            for doc in self.docs
        }
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

    def stages_of(self, doc: Doc) -> tuple[int, ...]:
        """Return the stages whose `only` admits the document."""
        return self._stages[doc.id]

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
    """`max_epochs` limits every document and every group, over all stages together."""
    allowed = Fraction(str(written.request["max_epochs"]))
    seen: dict[bytes, list[int]] = defaultdict(list)
    for one in written.sequences:
        seen[one.doc.id].append(one.epoch)
    for name, found in seen.items():
        if len(found) > math.ceil(allowed):
            yield "max_epochs", f"{name.hex()} {len(found)} times for max_epochs {allowed}"
        if found != list(range(len(found))):
            yield "epoch numbers", f"{name.hex()} has epochs {found}"
    for key, docs in groups(written).items():
        tokens = sum(len(seen[doc.id]) * doc.size for doc in docs)
        have = sum(doc.size for doc in docs)
        if tokens > allowed * have:
            yield "max_epochs", f"{key}: {tokens} of {have} tokens for max_epochs {allowed}"


def groups(written: Written, pools: bool = False) -> dict[tuple[Any, ...], list[Doc]]:
    """Return the documents of each group: of one source, component and factor, in the same stages.

    `pools`: whatever their stages.
    """
    found: dict[tuple[Any, ...], list[Doc]] = defaultdict(list)
    for doc in written.docs:
        stages = () if pools else written.stages_of(doc)
        found[doc.source, doc.component, factor(written.request, doc), stages].append(doc)
    return found


def capacity(written: Written, docs: Sequence[Doc], final: dict[bytes, int]) -> int:
    """Return the tokens that `max_epochs` would still allow of a group after all stages."""
    allowed = Fraction(str(written.request["max_epochs"]))
    return int(allowed * sum(d.size for d in docs)) - sum(d.size * final[d.id] for d in docs)


def least_used(written: Written) -> Iterator[Fault]:
    """No document is repeated while another of its source, that its stage may use, is not.

    A later `only` may need a group whose turn it is: then `max_epochs` allows no more of it at the
    end than each of its stages may miss of its part, which is less than a document.
    """
    spare = any(stage.get("only") for stage in written.stages)
    final: dict[bytes, int] = defaultdict(int)
    for one in written.sequences:
        final[one.doc.id] += 1
    for key, docs in groups(written, pools=True).items():
        uses = {doc.id: 0 for doc in docs}
        own = [one for one in written.sequences if one.doc.id in uses]
        for one in own:
            waiting: dict[tuple[int, ...], list[Doc]] = defaultdict(list)
            for doc in docs:
                if uses[doc.id] < uses[one.doc.id] and written.may(one.stage, doc):
                    waiting[written.stages_of(doc)].append(doc)
            if spare:
                waiting = {
                    stages: found
                    for stages, found in waiting.items()
                    if not _spared(written, docs, stages, found, final)
                }
            if waiting:
                found = next(iter(waiting.values()))
                yield (
                    "least used first",
                    f"{key[:2]}, stage {one.stage}: {one.doc.id.hex()} for the "
                    f"{uses[one.doc.id] + 1}. time before {found[0].id.hex()} for the "
                    f"{uses[found[0].id] + 1}. ({len(found)} of {len(docs)} waiting)",
                )
                break
            uses[one.doc.id] += 1


def _spared(
    written: Written,
    docs: Sequence[Doc],
    stages: tuple[int, ...],
    waiting: Sequence[Doc],
    final: dict[bytes, int],
) -> bool:
    """Return whether whole documents or the need of other stages explain those that wait."""
    group = [doc for doc in docs if written.stages_of(doc) == stages]
    short = [doc for doc in group if all(written.may(stage, doc) for stage in stages)]
    ids = {doc.id for doc in short}

    def missed(of: Sequence[Doc]) -> int:
        return len(stages) * (max((doc.size for doc in of), default=1) - 1)

    return sum(doc.size for doc in waiting if doc.id in ids) <= missed(short) or any(
        capacity(written, of, final) <= missed(of) for of in (group, short)
    )


def distances(written: Written) -> Iterator[Fault]:
    """Copies in a stage are a window apart, or a whole pass where that is shorter."""
    window = _count(written.request["window"])
    for stage in range(len(written.stages)):
        own = written.of_stage(stage)
        total = sum(len(one.ids) for one in own)
        longest = max((len(one.ids) for one in own), default=0)
        for key, docs in groups(written, pools=True).items():
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


def missed(written: Written, stage: int, mine: Sequence[Placed], lack: float) -> int:
    """Return the tokens that whole documents may leave of a component's target in a stage.

    Less than one document, or a few tokens where a group has many, some are left and its source repeats none. A group that
    `max_epochs` or another stage keeps from giving what lacks adds less than a document.
    """
    final: dict[bytes, int] = defaultdict(int)
    for one in written.sequences:
        final[one.doc.id] += 1
    taken = {one.doc.id for one in mine}
    groups_of_pool = {key[:3]: docs for key, docs in groups(written, pools=True).items()}
    slack, bound = 0, 0
    for key, docs in groups(written).items():
        own = docs if stage in key[3] else []
        if key[1] != mine[0].doc.component or not own:
            continue
        pool = groups_of_pool[key[:3]]
        count = sum(doc.id in taken for doc in own)
        if count >= MANY and len(own) - count >= LEFT and max(final[d.id] for d in pool) < 2:
            return FEW
        longest = max(doc.size for doc in own) - 1
        slack = max(slack, longest)
        bound += longest if capacity(written, own, final) < lack else 0
    return slack + bound


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
            if got - target > 1 + FEW or (
                mine and roomy and target - got > 1 + missed(written, stage, mine, target - got)
            ):
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
    pools = groups(written, pools=True)
    missed: dict[str, list[str]] = defaultdict(list)
    cannot: set[str] = set()
    missing: dict[str, int] = defaultdict(int)
    for entry in written.manifest["sources"]:
        missing[entry["component"]] += max(0, entry["target"] - entry["achieved"])
    for entry in written.manifest["sources"]:
        key = (entry["source"], entry["component"])
        docs = [
            doc
            for (source, component, weight, _), pool in pools.items()
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
        # Copies that must stay apart leave a part of a document, which others of it replace.
        lacks = max(0, entry["target"] - entry["achieved"])
        again = entry["target"] > whole
        slack = max(doc.size for doc in docs) if again and docs else 2 * FEW
        over = entry["achieved"] - entry["target"]
        if len(docs) >= MANY and (lacks > slack or over > max(slack, missing[key[1]])):
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
    """A document of weight f occurs f times as often as its source's others, up to `max_epochs`.

    Each pool misses its part by less than a document; others of its component give what it misses.
    """
    if len(written.stages) > 1 or not written.request.get("upsample"):
        return
    took: dict[bytes, int] = defaultdict(int)
    for one in written.sequences:
        took[one.doc.id] += one.doc.size
    for entry in written.manifest["components"]:
        name = entry["component"]
        gone = written.manifest["left_out"].get(name, {}).get("longer_than", math.inf)
        pools: dict[tuple[Any, ...], list[Doc]] = defaultdict(list)
        for doc in written.docs:
            if doc.component == name and doc.size <= gone and written.stages_of(doc):
                pools[doc.source, factor(written.request, doc)].append(doc)
        parts = pool_targets(written.request, name, entry["planned"], pools)
        given = {key: sum(took[doc.id] for doc in docs) for key, docs in pools.items()}
        lacks = {key: max(0.0, part - given[key]) + 1 for key, part in parts.items()}
        for key, part in parts.items():
            longest = max(doc.size for doc in pools[key])
            others = sum(lacks.values()) - lacks[key]
            if not part - longest - 1 < given[key] < part + 1 + others:
                yield (
                    "upsampling",
                    f"{key[0]}, {name}, factor {key[1]}: {given[key]} tokens for {part:.1f}, "
                    f"longest document {longest}, the others miss {others:.1f}",
                )


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

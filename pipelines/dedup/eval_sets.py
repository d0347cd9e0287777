"""The benchmarks that HyperCLOVA X reports, and where their items are.

`bibim benchmarks fetch` turns them into the JSONL that `decontaminate.against` reads, once: a run
then depends on a file, not on a hub.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.arrow_values import values
from schemas.errors import InputError
from schemas.files import read_whole
from schemas.json_lines import kind_of, not_found, parse, read_objects


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. `fields`: columns whose texts make an item, `a.b` inside a record.

    `places`: data sets on the Hugging Face hub with the split to take; empty where the authors
    publish it elsewhere or not at all.
    """

    name: str
    lang: str
    fields: tuple[str, ...]
    places: tuple[tuple[str, str], ...] = ()
    note: str = ""


_AGIEVAL = "aqua-rat gaokao-english logiqa-en lsat-ar lsat-lr lsat-rc math sat-en sat-math"
BENCHMARKS = (
    Benchmark("kmmlu", "ko", ("question", "A", "B", "C", "D"), (("HAERAE-HUB/KMMLU", "test"),)),
    Benchmark("haerae", "ko", ("query",), (("HAERAE-HUB/HAE_RAE_BENCH_1.1", "test"),)),
    Benchmark("kobigbench", "ko", ("text",), note="in-house at NAVER; give a file of your own"),
    Benchmark("click", "ko", ("paragraph", "question", "choices"), (("EunsuKim/CLIcK", "*"),)),
    Benchmark("kobbq", "ko", ("context", "question", "choices"), (("naver-ai/kobbq", "test"),)),
    Benchmark("kold", "ko", ("title", "comment"), note="github.com/boychaboy/KOLD"),
    Benchmark("ko-mt-bench", "ko", ("turns",), (("LGAI-EXAONE/KoMT-Bench", "*"),)),
    Benchmark("k-humaneval", "ko", ("prompt", "canonical_solution"), note="not published"),
    Benchmark("factscore-ko", "ko", ("text",), note="not published"),
    Benchmark("klue-nli", "ko", ("premise", "hypothesis"), (("klue/klue/nli", "validation"),)),
    Benchmark("klue-sts", "ko", ("sentence1", "sentence2"), (("klue/klue/sts", "validation"),)),
    Benchmark("mmlu", "en", ("question", "choices"), (("cais/mmlu/all", "test"),)),
    Benchmark("bbh", "en", ("input",), (("lukaemon/bbh", "test"),)),
    Benchmark(
        "agieval",
        "en",
        ("query",),
        tuple((f"hails/agieval-{part}", "test") for part in _AGIEVAL.split(" ")),
    ),
    Benchmark("hellaswag", "en", ("ctx", "endings"), (("Rowan/hellaswag", "validation"),)),
    Benchmark(
        "winogrande",
        "en",
        ("sentence", "option1", "option2"),
        (("allenai/winogrande/winogrande_xl", "validation"),),
    ),
    Benchmark("piqa", "en", ("goal", "sol1", "sol2"), (("ybisk/piqa", "validation"),)),
    Benchmark(
        "arc",
        "en",
        ("question", "choices.text"),
        (("allenai/ai2_arc/ARC-Challenge", "test"), ("allenai/ai2_arc/ARC-Easy", "test")),
    ),
    Benchmark("csqa", "en", ("question", "choices.text"), (("tau/commonsense_qa", "validation"),)),
    Benchmark(
        "nq", "en", ("question", "answer"), (("google-research-datasets/nq_open", "validation"),)
    ),
    Benchmark(
        "triviaqa",
        "en",
        ("question", "answer.value"),
        (("mandarjoshi/trivia_qa/rc.nocontext", "validation"),),
    ),
    Benchmark("gsm8k", "en", ("question", "answer"), (("openai/gsm8k/main", "test"),)),
    Benchmark("math", "en", ("problem", "solution"), (("EleutherAI/hendrycks_math", "test"),)),
    Benchmark(
        "humaneval",
        "code",
        ("prompt", "canonical_solution"),
        (("openai/openai_humaneval", "test"),),
    ),
    Benchmark("mbpp", "code", ("text", "code"), (("google-research-datasets/mbpp/full", "test"),)),
    Benchmark("mt-bench", "en", ("prompt",), (("HuggingFaceH4/mt_bench_prompts", "*"),)),
    Benchmark(
        "truthfulqa",
        "en",
        ("question", "best_answer"),
        (("truthfulqa/truthful_qa/generation", "validation"),),
    ),
    Benchmark("bold", "en", ("prompts",), (("AmazonScience/bold", "*"),)),
    Benchmark(
        "realtoxicityprompts",
        "en",
        ("prompt.text", "continuation.text"),
        (("allenai/real-toxicity-prompts", "*"),),
    ),
    Benchmark("bbq", "en", ("context", "question"), (("heegyu/bbq", "test"),)),
    Benchmark("xnli", "en", ("premise", "hypothesis"), (("facebook/xnli/en", "test"),)),
)
"""What the technical report (arXiv 2404.01954) evaluates on, and KLUE."""
BY_NAME = {benchmark.name: benchmark for benchmark in BENCHMARKS}


def items(benchmark: Benchmark, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield an item (id, text, lang, source) of each row. Raises InputError if a field lacks."""
    for number, row in enumerate(rows):
        parts = [text for field in benchmark.fields for text in _texts(benchmark, row, field)]
        if parts:
            yield {
                "id": f"{benchmark.name}-{row.get('id', number)}",
                "text": "\n".join(parts),
                "lang": benchmark.lang,
                "source": benchmark.name,
            }


def _texts(benchmark: Benchmark, row: dict[str, Any], field: str) -> list[str]:
    value: Any = row
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            raise InputError(
                f"benchmark {benchmark.name}: {not_found(field, row)}; "
                "give rows as the benchmark publishes them"
            )
        value = value[key]
    found = value if isinstance(value, list) else [value]
    return [str(text).strip() for text in found if text is not None and str(text).strip()]


def local_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSONL, JSON, CSV or Parquet file (gzip and zstd too)."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if path.suffix == ".parquet":
        try:
            yield from _parquet_rows([path])
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: not Parquet that can be read: {error}") from None
        return
    packed = path.suffix in (".gz", ".zst")
    kind = path.with_suffix("").suffix if packed else path.suffix
    try:
        if kind == ".csv":
            text = read_whole(path, "rows").decode("utf-8")
            yield from csv.DictReader(io.StringIO(text))
        elif kind == ".json":
            yield from _rows_of(parse(read_whole(path, "rows")))
        else:
            yield from (row for _, row in read_objects(path, "rows"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: {error}; give JSONL, JSON, CSV or Parquet in UTF-8") from None


def _rows_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON list, or of an object's values. Raises ValueError for others."""
    if not isinstance(value, list | dict):
        raise ValueError(f"the file is {kind_of(value)}, not a list of objects")
    for number, row in enumerate(value if isinstance(value, list) else value.values(), 1):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is {kind_of(row)}, not an object")
        yield row


def _parquet_rows(files: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches():
            columns = [values(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))


def hub_rows(benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    """Yield the rows of a benchmark from the hub, by its Parquet branch.

    Raises InputError where the benchmark is not there, or the hub cannot be reached.
    """
    if not benchmark.places:
        raise InputError(
            f"benchmark {benchmark.name} is not on the hub ({benchmark.note}); "
            f"say {benchmark.name}=FILE"
        )
    try:
        from huggingface_hub import HfFileSystem
    except ImportError:
        raise InputError("fetching benchmarks needs `pip install 'bibim[hf]'`") from None
    hub = HfFileSystem()
    for place, split in benchmark.places:
        parts = place.split("/")
        config = parts[2] if len(parts) > 2 else "*"
        pattern = f"datasets/{parts[0]}/{parts[1]}@~parquet/{config}/{split}/*.parquet"
        try:
            paths = sorted(hub.glob(pattern))
            if not paths:
                raise InputError(f"benchmark {benchmark.name}: nothing matches hf://{pattern}")
            yield from _parquet_rows([hub.open(path, "rb") for path in paths])
        except OSError as error:
            raise InputError(
                f"benchmark {benchmark.name}: hf://{pattern}: {error}; or say {benchmark.name}=FILE"
            ) from None


def read_benchmark(name: str) -> list[dict[str, str]]:
    """Return the items of `NAME` (from the hub) or `NAME=FILE`. Raises InputError."""
    name, _, path = name.partition("=")
    if name not in BY_NAME:
        raise InputError(f"no benchmark {name!r}; `bibim benchmarks list` names them")
    benchmark = BY_NAME[name]
    rows = local_rows(Path(path)) if path else hub_rows(benchmark)
    found = list(items(benchmark, rows))
    if not found:
        raise InputError(
            f"benchmark {name}: {path or 'the hub'} holds no items: no row has a text in "
            f"{', '.join(benchmark.fields)}"
        )
    return found

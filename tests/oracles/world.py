"""A small world of files for a run: sources of four kinds, a benchmark, models, an earlier run.

Everything is made from the demo's texts. What a key decides occurs in it: copies, addresses of
pages, footers, personal data, records that cannot be read, letters that repair changes.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipelines.driver import Run
from pipelines.engine.progress import LogReporter
from pipelines.runners.runner import Runner
from schemas.load import load_config
from tests.support import ROOT

DEMO = ROOT / "mixtures" / "demo"
MODELS = ROOT / "filters" / "models"
FOOTER = "\n\n회사소개 | 이용약관 | 개인정보처리방침\n고객센터 평일 아홉 시부터 여섯 시까지"
NAMED = "\n담당자 김철수 010-2345-6789 minsu.kim@maeul-jangter.co.kr 주민번호 900101-1234568"
SCRIPT = "function sum(list) {\n  let total = 0;\n  for (const each of list) {\n    total += each;\n  }\n  return total;\n}\n"
JAPANESE = "これは日本語で書かれた文章です。朝の市場では野菜と魚が売られています。"

Data = dict[str, Any]


def demo_texts(name: str, count: int, first: int = 5, length: int = 420) -> list[str]:
    """Return the beginnings of `count` documents of the demo."""
    lines = (DEMO / f"{name}.jsonl").read_text("utf-8").splitlines()
    good = [line for line in lines if line.endswith("}")][first : first + count]
    return [json.loads(line)["text"][:length] for line in good]


def write_records(path: Path, records: list[Data], *broken: str) -> None:
    """Write JSONL; `broken` are lines that cannot be read, at its end."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("\n".join([*lines, *broken]) + "\n", "utf-8")


def korean() -> list[Data]:
    texts = demo_texts("ko", 15)
    texts[1] += FOOTER
    texts[2] += FOOTER
    texts[3] += NAMED
    texts[4] += NAMED.replace("minsu", "sujin").replace("2345", "8765") + FOOTER
    texts[5] += "\n값은 &lt;b&gt; 안에 있고 \u200b폭이 없는 글자와 Ã© 글자도 있다. ㅎㅏㄴ글"
    texts[6] += FOOTER + "\n저작권자 © 마을신문, 무단 전재 및 재배포 금지"
    texts[7] = " ".join(demo_texts("ko", 3, 30, 900))
    texts.append(texts[0].replace("다.", "다!"))
    texts.append(texts[1].replace("한다", "했다", 1))
    texts.append(texts[8][:300] + texts[9][300:])
    texts.append("씨발 병신 새끼들아 꺼져라 개새끼야 죽어버려 정말 짜증나는 놈들이다 " * 3)
    return [
        {"id": f"ko-{n}", "text": text, "body": text[::-1], "license": ("MIT", "CC0-1.0")[n % 2]}
        for n, text in enumerate(texts)
    ]


def english() -> list[Data]:
    texts = demo_texts("en", 13, length=500)
    texts[1] += "\nWrite to anna.smith@village-market.org or call 415-555-0134.\n"
    texts[2] += "\nCopyright 2024 Village Paper. All rights reserved."
    texts[3] += " " + demo_texts("ko", 2)[1][:60]
    texts.append(texts[0] + " And that was all of it.")
    texts.append(texts[4].upper())
    return [{"id": f"en-{n}", "text": text, "body": text[:200]} for n, text in enumerate(texts)]


def pages() -> list[Data]:
    texts = [*demo_texts("ko", 5, 40), *demo_texts("en", 4, 40), JAPANESE * 4]
    addresses = [f"https://example.org/page/{n}" for n in range(len(texts))]
    addresses[1] = "http://www.example.org/page/0/index.html"
    addresses[7] = addresses[6] + "?utm_source=feed"
    return [
        {"id": f"w{n}", "text": text, "url": url}
        for n, (text, url) in enumerate(zip(texts, addresses, strict=True))
    ]


def code(folder: Path) -> None:
    folder.mkdir()
    library = Path(sysconfig.get_paths()["stdlib"])
    chosen = [
        "bisect",
        "colorsys",
        "contextvars",
        "stat",
        "sched",
        "linecache",
        "keyword",
        "struct",
        "token",
    ]
    for name in chosen:
        text = (library / f"{name}.py").read_text("utf-8")
        (folder / f"{name}.py").write_text(text[:1500].rpartition("\n")[0] + "\n", "utf-8")
    (folder / "broken.py").write_text("def f(:\n" + "    return 1 +\n" * 12, "utf-8")
    copy = (folder / "bisect.py").read_text("utf-8") + "\nLAST = 1\n"
    (folder / "bisect_copy.py").write_text(copy, "utf-8")
    for n in range(3):
        text = SCRIPT.replace("total", f"total{n}") * (n + 1)
        (folder / f"sum{n}.js").write_text(text, "utf-8")


def models(folder: Path) -> None:
    """Write models that differ from those in the package, in the form that `bibim fit` writes."""
    folder.mkdir()
    data = bytearray((MODELS / "lid.176.ftz").read_bytes())
    shutil.copyfile(MODELS / "lid.176.ftz", folder / "lid.ftz")
    data[-1200:-200] = bytes(data[-200:] * 5)
    (folder / "lid-other.ftz").write_bytes(data)
    for name, array in (("toxicity", "offset"), ("quality", "intercept")):
        shutil.copyfile(MODELS / f"{name}.npz", folder / f"{name}.npz")
        with np.load(MODELS / f"{name}.npz") as saved:
            arrays = {key: saved[key] for key in saved.files}
        arrays[array] = arrays[array] + 0.5
        np.savez(folder / f"{name}-other.npz", **arrays)


def benchmark(folder: Path) -> None:
    items = [demo_texts("ko", 15)[9][20:140], demo_texts("en", 13)[6][30:200], "too short"]
    write_records(folder / "bench.jsonl", [{"id": str(n), "text": t} for n, t in enumerate(items)])
    write_records(folder / "bench-other.jsonl", [{"text": demo_texts("en", 13)[7][10:200]}])


def make_world(folder: Path) -> Path:
    """Write all files but those of `complete`."""
    folder.mkdir(parents=True)
    write_records(folder / "ko.jsonl", korean(), '{"id": "broken"', "not JSON")
    write_records(folder / "ko-other.jsonl", korean()[4:])
    write_records(folder / "en.jsonl", english())
    write_records(folder / "web.jsonl", pages())
    write_records(
        folder / "old.jsonl",
        [{"id": f"o{n}", "text": r["text"]} for n, r in enumerate(korean()[8:12] + english()[5:8])],
    )
    code(folder / "code")
    moved = folder / "moved"
    moved.mkdir()
    for name in ("ko.jsonl", "en.jsonl", "web.jsonl"):
        lines = (folder / name).read_text("utf-8").splitlines()
        (moved / name).write_text("\n".join(lines[2:]) + "\n", "utf-8")
    shutil.copytree(folder / "code", moved / "code")
    models(folder / "models")
    benchmark(folder)
    return folder


def complete(world: Path) -> None:
    """Add an earlier run and two tokenizers, once."""
    if (world / "earlier").exists():
        return
    for name, size in (("a", 900), ("b", 950)):
        config = earlier(world)
        config["tokenizer"]["vocab_size"] = size
        assert execute(config, world / f"run-{name}") is None
        shutil.copytree(world / f"run-{name}/tokenizer", world / f"tokenizer-{name}")
    shutil.move(world / "run-a", world / "earlier")
    shutil.rmtree(world / "run-b")


def earlier(world: Path) -> Data:
    """Return the config of the earlier run that `dedup.against` names."""
    return {
        "name": "earlier",
        "sources": {"old": {"component": "auto", "path": str(world / "old.jsonl")}},
        "tokenizer": {"vocab_size": 900, "morphemes": False},
        "mixture": {
            "weights": {"ko": 0.5, "en": 0.5},
            "shards": 1,
            "window": 1000,
            "window_tolerance": 1,
        },
    }


def plain(world: Path) -> Data:
    """Return a config of defaults, with few rules."""
    return {
        "name": "small",
        "data": str(world),
        "sources": {
            "ko": {"component": "ko", "path": "${data}/ko.jsonl"},
            "en": {"component": "en", "path": "${data}/en.jsonl"},
            "web": {"component": "auto", "path": "${data}/web.jsonl"},
            "code": {"component": "code", "path": "${data}/code", "format": "tree"},
        },
        "rules": {"ko": {"hangul_ratio": ">=0.2", "words": ">=3"}, "en": {"words": ">=5"}},
        "ingest": {"max_reject_share": 0.2},
        "tokenizer": {"vocab_size": 1000, "morphemes": False, "sample": 60_000},
        "mixture": {
            "weights": {"ko": 0.4, "en": 0.3, "code": 0.3},
            "shards": 2,
            "window": 2000,
            "window_tolerance": 1,
        },
    }


def rich(world: Path) -> Data:
    """Return a config in which every optional stage works."""
    config = plain(world)
    config["name"] = "rich"
    config["dedup"] = {
        "against": ["${data}/earlier"],
        "lines": {
            "enabled": True,
            "rare": {"ko": 1, "default": 1},
            "common": {"ko": 3, "default": 3},
            "paragraphs": 3,
        },
        "semantic": {"enabled": True, "threshold": 0.9},
    }
    config["decontaminate"] = {"against": ["${data}/bench.jsonl"]}
    config["pii"] = {"action": "mask", "entities": {"EMAIL_ADDRESS": "pseudonymise"}, "key": "one"}
    config["mixture"] |= {
        "tokens": 3000,
        "formats": ["megatron", "parquet"],
        "upsample": [{"when": "chars>=400", "factor": 1.5}],
        "stages": [
            {"share": 0.6, "context": 64},
            {"share": 0.4, "weights": {"ko": 0.5, "en": 0.5}, "only": ["chars>=100"]},
        ],
    }
    return config


BASES = {"plain": plain, "rich": rich}


class Silent(LogReporter):
    """Prints nothing."""

    def note(self, text: str) -> None:
        pass

    @contextmanager
    def stage(self, name: str, total: int, poll: object) -> Iterator[None]:
        yield


def execute(config: Data, out: Path, stages: tuple[str, ...] | None = None) -> Exception | None:
    """Run a config in this process, one worker, as `bibim run` does; return what stopped it."""
    import io

    from rich.console import Console

    from bibim.finish import guard

    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), "utf-8")
    try:
        settings = load_config(file, (), True)
        job = Run(settings, out, Runner("local", 1, (), out / "local.log"), Silent())
        job.execute(*([stages] if stages else []))
        guard(Console(file=io.StringIO()), out, settings)
    except Exception as error:  # the caller tells refusals from crashes
        return error
    finally:
        file.unlink()
    return None

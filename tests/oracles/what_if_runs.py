"""Three small finished runs for the oracle of what-if: copies, chains of near-copies, all types.

Texts are drawn from lists of words. A chain is a row of windows over one sequence of words: each
is a near-copy of the next (a shared part of 0.85) and not of the one after it (0.72).
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

from pipelines.driver import Run
from pipelines.engine.progress import reporter
from pipelines.runners.runner import Runner
from pipelines.stages.catalog import COMMANDS
from schemas.config import Config
from schemas.load import load_config

STAGES = [name for name in COMMANDS if name != "mix"]
KOREAN = [
    "바람이",
    "골목을",
    "지나",
    "시장",
    "쪽으로",
    "불었다",
    "우리는",
    "창문을",
    "열고",
    "나물을",
    "무쳐",
    "밥에",
    "비벼",
    "먹는",
    "저녁",
    "노을",
    "아래에서",
    "이야기를",
    "나누었고",
    "그는",
    "오래된",
    "책을",
    "읽으며",
    "강가를",
    "천천히",
    "걸었다",
    "학교와",
    "집",
    "사이에는",
    "작은",
    "다리가",
    "있고",
    "그",
    "위에서",
    "아이들이",
    "물고기를",
    "세었다",
    "봄",
    "여름",
    "가을",
    "겨울",
]
ENGLISH = [
    "the",
    "wind",
    "moved",
    "over",
    "a",
    "hill",
    "and",
    "the",
    "river",
    "carried",
    "leaves",
    "to",
    "an",
    "old",
    "bridge",
    "where",
    "children",
    "of",
    "that",
    "village",
    "have",
    "counted",
    "fish",
    "with",
    "their",
    "grandmother",
    "be",
    "it",
    "summer",
    "or",
    "winter",
    "this",
    "kettle",
    "sings",
    "in",
    "the",
    "kitchen",
    "while",
    "letters",
    "for",
    "you",
    "wait",
    "on",
    "one",
    "table",
    "by",
    "some",
    "open",
    "window",
]
RUDE = {"ko": "씨발 개새끼 병신", "en": "fuck you stupid bitch idiot"}
LICENSES = ("MIT", "CC0-1.0", "GPL-3.0", None)


def _windows(rng: random.Random, words: list[str], count: int) -> list[str]:
    """Return `count` texts of which each is a near-copy of the next only."""
    length = rng.randint(60, 140)
    step = max(1, round(length * 0.08))
    row = [
        f"{rng.choice(words)}{rng.randint(0, 99) if rng.random() < 0.3 else ''}"
        for _ in range(length + step * count)
    ]
    return [" ".join(row[step * at : step * at + length]) for at in range(count)]


def _prose(rng: random.Random, language: str) -> str:
    words = KOREAN if language == "ko" else ENGLISH
    count = int(2 ** rng.uniform(1, 7.5))
    made = [rng.choice(words) for _ in range(count)]
    for _ in range(rng.choice([0, 0, 1, 4])):
        made.insert(rng.randrange(len(made)), rng.choice(["#", "12", "...", "{", "Seoul", "서울"]))
    text = " ".join(made)
    if rng.random() < 0.25:
        text = text.replace(" ", "\n", rng.randint(1, 6))
    if rng.random() < 0.15:
        text += f"\n연락처 minsu{rng.randint(1, 99)}@naver.com 010-2345-{rng.randint(1000, 9999)}"
    if rng.random() < 0.12:
        text += " " + " ".join([RUDE[language]] * rng.randint(1, 4))
    return text


def _code(rng: random.Random) -> str:
    lines = [f"import {rng.choice(['os', 'sys', 'json'])}", ""]
    for number in range(rng.randint(1, 12)):
        name = f"{rng.choice(ENGLISH)}_{number}"
        lines += [
            f"def {name}(x):",
            f"    # {' '.join(rng.choices(ENGLISH, k=rng.randint(1, 25)))}",
        ]
        lines += [f"    return x + {rng.randint(0, 9999)}", ""]
    if rng.random() < 0.2:
        lines.append("def broken(:")
    return "\n".join(lines) + "\n"


def _texts(rng: random.Random, kind: str, count: int) -> list[str]:
    made = [_code(rng) if kind == "code" else _prose(rng, kind) for _ in range(count)]
    for _ in range(count // 8):
        if kind != "code":
            made += _windows(rng, KOREAN if kind == "ko" else ENGLISH, rng.randint(2, 5))
        made.append(rng.choice(made))  # an exact copy
    rng.shuffle(made)
    return made


def _write(path: Path, rng: random.Random, texts: list[str]) -> None:
    rows = [
        {
            "text": text,
            "license": rng.choice(LICENSES),
            "url": rng.choice([None, f"https://{rng.choice('abc')}.example.org/{number}"]),
        }
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def settings(folder: Path, number: int) -> dict[str, Any]:
    """Return the config of run `number` (0, 1, 2) over sources that are written into `folder`."""
    rng = random.Random(number)
    folder.mkdir(parents=True, exist_ok=True)
    ko, en = (_texts(rng, kind, 56) for kind in ("ko", "en"))
    more = [*_texts(rng, "ko", 24), *rng.sample(ko, 6), *rng.sample(en, 6)]
    for name, texts in {"ko": ko, "en": en, "more": more}.items():
        _write(folder / f"{name}.jsonl", rng, texts)
    for at, text in enumerate(_texts(rng, "code", 30)):
        (folder / "code").mkdir(exist_ok=True)
        (folder / "code" / f"{at}.{rng.choice(['py', 'py', 'py', 'js'])}").write_text(text, "utf-8")
    made: dict[str, Any] = {
        "name": f"what-if-{number}",
        "sources": {
            "ko-a": {"component": "ko", "path": str(folder / "ko.jsonl")},
            "en-a": {"component": "en", "path": str(folder / "en.jsonl")},
            "more": {"component": "auto", "path": str(folder / "more.jsonl")},
            "src": {"component": "code", "path": str(folder / "code"), "format": "tree"},
        },
        "rules": {
            "ko": {"words": ">=5", "hangul_ratio": ">=0.2"},
            "more": {"words": ">=8, <=400"},
            "en": {"words": ">=4", "stop_words": ">=1"},
            "code": {"max_line_length": "<=150", "code_lang": "!=javascript"},
        },
        "measure": {"check_syntax": True},
        "tokenizer": {"vocab_size": 700, "morphemes": False, "sample": 200_000},
        "mixture": {"weights": {"ko": "1/3", "en": "1/3", "code": "1/3"}, "shards": 1},
    }
    if number == 1:
        made["dedup"] = {"semantic": {"enabled": True, "threshold": 0.9}, "prefer": ["more"]}
        made["quality"] = {"drop_below": 0.3}
        made["rules"]["all"] = {"toxicity": "<0.8"}
    if number == 2:
        made["pii"] = {"drop_above": 2}
        made["toxicity"] = {"drop_above": 0.5, "spam_above": None}
        made["rules"]["all"] = {"cluster_size": "<=3", "license": "!=GPL-3.0, null: keep"}
        made["rules"]["en-a"] = {"tokens": ">=6", "chars": "<=900"}
    return made


def load(made: dict[str, Any], path: Path) -> Config:
    path.write_text(yaml.safe_dump(made, allow_unicode=True, sort_keys=False), "utf-8")
    return load_config(path)


def execute(config: Config, out: Path) -> None:
    """Run every stage but `mix`."""
    Run(config, out, Runner(workers=1), reporter()).execute(STAGES)

"""Texts of this project's own for the mixtures' tests, and a tokenizer trained on them."""

from __future__ import annotations

import random

KOREAN = (
    "비빔밥은 밥 위에 나물과 고기를 얹어 고추장에 비벼 먹는 음식이다.",
    "어제 친구와 함께 시장에서 나물을 샀는데 생각보다 값이 비쌌습니다.",
    "말뭉치를 골고루 섞으려면 먼저 중복된 문서를 지워야 한다.",
    "바람이 불어서 창문을 닫았지만 방은 여전히 추웠다.",
    "개발자는 함수의 이름을 바꾸고 나서 시험을 다시 돌려 보았다.",
)
ENGLISH = (
    "A mixture holds every component in proportion, whatever the order of its files.",
    "She counted the tokens twice, and 1,024 of them were still missing.",
    "Rain fell on the roof all night; by morning the garden had turned to mud.",
    "The reader opens a shard, checks its hash and returns each document in turn.",
)
CODE = (
    "def mix(sources, seed=0):\n    for name in sorted(sources):\n        yield name, seed\n",
    "class Shard:\n\tdef __init__(self, path):\n\t\tself.path = path\n\t\tself.rows = 0\n",
    "for (int i = 0; i < 10; i++) {\r\n    total += values[i];\r\n}\r\n",
)


def texts(documents: int, seed: int = 0) -> list[str]:
    """Return documents made of the sentences above, the same for the same seed."""
    chance = random.Random(seed)
    made = []
    for _ in range(documents):
        kind = chance.choice((KOREAN, ENGLISH, CODE))
        made.append("\n".join(chance.choice(kind) for _ in range(chance.randint(1, 8))))
    return made

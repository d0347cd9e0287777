"""Texts of the inputs: Korean and English paragraphs that differ from one another."""

from __future__ import annotations

import random

KOREAN = (
    "아침 안개가 걷히자 포구에는 고깃배 두 척이 들어와 있었다.",
    "할머니는 마당 한쪽에 고추를 널어 말리고 계셨다.",
    "도서관 뒤편 언덕길은 봄이면 개나리로 노랗게 물든다.",
    "막차를 놓친 두 사람은 역 앞 국밥집에서 첫차를 기다렸다.",
    "새로 연 빵집에서는 구수한 냄새가 골목까지 번졌다.",
    "기상청은 내일 오후부터 남부 지방에 비가 내리겠다고 예보했다.",
    "연구진은 삼 년 동안 모은 표본을 차례로 비교해 보았다.",
    "시장 상인들은 올해 배추 값이 지난해보다 올랐다고 전했다.",
    "그 다리는 강의 양쪽 마을을 백 년 가까이 이어 주었다.",
    "회의가 끝난 뒤에도 몇 사람은 자리를 떠나지 않고 이야기를 나누었다.",
    "산 중턱의 작은 절에는 오래된 은행나무 한 그루가 서 있다.",
    "우리는 창가에 앉아 눈이 그치기를 조용히 기다렸다.",
)
ENGLISH = (
    "The ferry left the harbour an hour late because of the fog.",
    "She kept every receipt in a tin box under the stairs.",
    "A narrow path leads from the mill to the upper meadow.",
    "The committee will publish its findings before the end of March.",
    "Heavy rain had washed the gravel out of the lower road.",
    "He repaired the clock with parts from an old typewriter.",
    "Most of the bread is baked before the first train arrives.",
    "The survey covered forty villages on both sides of the river.",
    "Nobody had opened the northern window since the winter.",
    "Students measured the temperature of the pond twice a day.",
)


def paragraph(number: int, language: str = "ko", sentences: int = 4) -> str:
    """Return a paragraph that no other number has."""
    chance = random.Random(f"{language} {number}")
    pool = KOREAN if language == "ko" else ENGLISH
    chosen = chance.sample(pool, min(sentences, len(pool)))
    start = f"{number}번째 글입니다." if language == "ko" else f"This is text number {number}."
    return " ".join([start, *chosen])


def paragraphs(count: int, language: str = "ko", first: int = 0, sentences: int = 4) -> list[str]:
    """Return `count` different paragraphs."""
    return [paragraph(first + n, language, sentences) for n in range(count)]


def code(number: int, functions: int = 6) -> str:
    """Return a Python file that no other number has."""
    return "".join(
        f"def step_{number}_{n}(value):\n    return value * {number} + {n}\n\n\n"
        for n in range(functions)
    )


def page(texts: list[str], head: str = '<meta charset="utf-8">', title: str = "기록") -> str:
    """Return an HTML page with a paragraph per text."""
    body = "\n".join(f"<p>{text}</p>" for text in texts)
    return (
        f"<!DOCTYPE html>\n<html><head>{head}<title>{title}</title></head>\n"
        f"<body><article>\n<h1>{title}</h1>\n{body}\n</article></body></html>\n"
    )

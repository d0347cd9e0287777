"""Applying spans: the text that training sees. Called when tokens are written, never before.

A mask keeps what identifies nobody, as HyperCLOVA X does: an e-mail keeps its domain
(`****@naver.com`), a Korean phone its dialling code (`010-****-****`). Everything else becomes
its type in brackets: `[KR_RRN]`.
"""

from __future__ import annotations

import re

import pyarrow as pa

from schemas.config import Pii

HIDDEN = "****"


def mask_value(value: str, entity: str) -> str:
    """Return what stands for `value` in the text that is trained on."""
    if entity == "EMAIL_ADDRESS":
        return HIDDEN + value[value.rindex("@") :]
    if entity == "KR_PHONE":
        code = _dialling_code(value)
        return f"{code}-{HIDDEN}-{HIDDEN}" if code else f"[{entity}]"
    return f"[{entity}]"


def _dialling_code(value: str) -> str:
    """Return the dialling code of a Korean number: +82, 02, 031, 070, 010; else nothing."""
    if value.startswith("+82"):
        return "+82"
    digits = re.sub(r"\D", "", value)
    if digits.startswith("02"):
        return "02"
    return digits[:3] if digits.startswith("0") else ""


def apply_spans(
    text: pa.LargeStringArray, spans: pa.ListArray, settings: Pii
) -> pa.LargeStringArray:
    """Return each text with its spans masked as `settings` says.

    A row without spans, or whose spans are null, comes back as it is. The action `drop` is a
    rule's business and masks here too; `keep` leaves the value.
    """
    if len(spans) == 0 or len(spans.flatten()) == 0:
        return text
    rows = []
    for value, found in zip(text, spans, strict=True):
        listed = found.as_py()
        rows.append(_masked(value.as_py(), listed, settings) if listed else value.as_py())
    return pa.array(rows, pa.large_string())


def _masked(text: str, spans: list[dict[str, object]], settings: Pii) -> str:
    parts = []
    at = 0
    for span in spans:
        start, end, entity = int(str(span["start"])), int(str(span["end"])), str(span["type"])
        if settings.entities.get(entity, settings.action) == "keep":
            continue
        parts += [text[at:start], mask_value(text[start:end], entity)]
        at = end
    return "".join([*parts, text[at:]])

"""`bibim measure`: every signal of one text, computed by the annotators of a run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bibim.cli.options import Json, commands, console, exit_codes
from schemas.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

app = commands()

IDENTIFIED = {
    "lang": "language; `und` below the language's threshold, and for code",
    "lang_score": "0 to 1: how sure the language is",
    "lang_other": "the second language, if it has a share of 0.1 or more",
    "assigned": "component: ko, en or code; null if none takes the text",
    "code_lang": "programming language; null for prose",
    "code_score": "0 to 1: probability that the text is code",
    "hangul_share": "share of Hangul in the visible characters",
    "latin_share": "share of Latin letters in the visible characters",
    "han_share": "share of Han characters in the visible characters",
    "kana_share": "share of Kana in the visible characters",
    "digit_share": "share of digits in the visible characters",
}
"""What each column of `identify` means."""


class Component(StrEnum):
    """What `--lang` takes."""

    ko = "ko"
    en = "en"
    code = "code"


@dataclass(frozen=True)
class Signal:
    """One value of a text. `value` is None where the signal does not apply."""

    name: str
    stage: str
    value: Any
    unit: str
    meaning: str


@app.command(
    epilog="""Examples:

    bibim measure "비빔밥은 밥에 나물을 얹어 비벼 먹는 음식이다."

    bibim measure --file page.md --lang ko --json

    cat setup.py | bibim measure -
"""
)
def measure(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="The text; `-` reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the text from a UTF-8 file.")
    ] = None,
    lang: Annotated[
        Component | None,
        typer.Option("--lang", help="Take the text as this component. Default: identified."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every signal of one text.

    The text is repaired as `ingest` repairs it, then identified and measured. A signal without
    a value does not apply: prose signals to code, code signals to prose.
    """
    with exit_codes():
        signals = signals_of(read_text(text, file), lang)
        if as_json:
            print(json.dumps([asdict(signal) for signal in signals], indent=1, ensure_ascii=False))
        else:
            print_signals(console(), signals)


def read_text(text: str | None, file: Path | None) -> str:
    """Return the text of the one place given: an argument, standard input (`-`) or a file."""
    if (text is None) == (file is None):
        raise InputError("measure: give one of TEXT, `-` for standard input, or --file FILE")
    if file is None and text != "-":
        return str(text)
    name = "standard input" if file is None else str(file)
    try:
        data = sys.stdin.buffer.read() if file is None else file.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: byte {error.start} is not UTF-8; convert the text to UTF-8 first"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; name one that exists") from None


def signals_of(text: str, component: str | None) -> list[Signal]:
    """Return the columns of `identify` and `measure` for one text.

    component: the component of the text's source; None identifies it, as `component: auto` does.
    """
    import pyarrow as pa

    from filters.language.annotator import CODE, Identify
    from filters.measure.annotator import Measure, meanings
    from filters.text.repair import META, repair
    from schemas.config import Identify as IdentifySettings
    from schemas.config import Ingest
    from schemas.config import Measure as MeasureSettings
    from schemas.documents import AUTO, DOCUMENT

    repaired, counts = repair(text, () if component == CODE else Ingest().repair)
    document = {
        "text": repaired,
        "component": component or AUTO,
        "meta": json.dumps({META: counts}) if counts else None,
    }
    columns = [DOCUMENT.field(name) for name in document]
    batch = pa.RecordBatch.from_pylist([document], schema=pa.schema(columns))
    identified = Identify(IdentifySettings())(batch)
    for name in ("assigned", "code_lang"):
        batch = batch.append_column(name, identified.column(name))
    measured = Measure(MeasureSettings(check_syntax=True))(batch)
    texts = IDENTIFIED | meanings()
    return [
        Signal(field.name, stage, column[0].as_py(), unit(field.type, texts[field.name]),
               texts[field.name])
        for stage, annotated in (("identify", identified), ("measure", measured))
        for field, column in zip(annotated.schema, annotated.columns, strict=True)
    ]  # fmt: skip


def unit(kind: Any, meaning: str) -> str:
    """Return unit and range of a column of type `kind`, from how its meaning begins."""
    from pyarrow import types

    if types.is_string(kind):
        return "name"
    if types.is_list(kind) or types.is_large_list(kind):
        return "spans"
    if types.is_integer(kind):
        return "bytes" if meaning.startswith("bytes") else "count"
    if meaning.startswith("1 where"):
        return "0 or 1"
    if meaning.startswith(("share", "0 to 1", "the same, newlines")):
        return "0 to 1"
    return "ratio, ≥ 0"


def print_signals(console: Console, signals: list[Signal]) -> None:
    """Print a table per stage."""
    from rich.table import Table
    from rich.text import Text

    for stage in dict.fromkeys(signal.stage for signal in signals):
        table = Table(title=stage, title_justify="left", box=None)
        table.add_column("signal", no_wrap=True)
        table.add_column("value", justify="right")
        table.add_column("unit, range", no_wrap=True)
        table.add_column("meaning")
        for signal in signals:
            if signal.stage == stage:
                shown = value_text(signal.value)
                table.add_row(signal.name, shown, signal.unit, Text(signal.meaning))
        console.print(table, highlight=False)


def value_text(value: Any) -> str:
    """Return a value for the table; a dash where the signal does not apply."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return (
            ", ".join(f"{span['kind']} {span['start']}–{span['end']}" for span in value) or "none"
        )
    return str(value)

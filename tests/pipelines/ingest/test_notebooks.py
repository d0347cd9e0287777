"""Notebooks: one document of the cells' sources, in order, without what running them printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.ingest.readers.base import Reject
from tests.support.contents import notebook
from tests.support.reading import read, texts

CELLS = (("markdown", "# 실습\n표를 읽는다."), ("code", "import csv\nx = 1\n"), ("raw", "끝"))


@pytest.mark.parametrize("name", ["a.ipynb", "A.IPYNB", "a.json", "a"])
def test_a_notebook_is_its_markdown_and_code(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(notebook(*CELLS))
    assert texts(read(tmp_path / name)[0]) == ["# 실습\n표를 읽는다.\n\nimport csv\nx = 1\n\n끝"]


def test_a_notebook_on_one_line_is_not_json_lines(tmp_path: Path):
    value = json.loads(notebook(*CELLS))
    (tmp_path / "a.ipynb").write_text(json.dumps(value))
    (text,) = texts(read(tmp_path / "a.ipynb")[0])
    assert "iVBOR" not in text
    assert text.startswith("# 실습")


def test_a_notebook_of_format_3_is_read(tmp_path: Path):
    cells = [
        {"cell_type": "heading", "level": 2, "source": "제목"},
        {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "outputs": []},
    ]
    value = {"nbformat": 3, "worksheets": [{"cells": cells}]}
    (tmp_path / "a.ipynb").write_text(json.dumps(value))
    assert texts(read(tmp_path / "a.ipynb")[0]) == ["## 제목\n\nx = 1\ny = 2"]


@pytest.mark.parametrize(
    "data",
    [b'{"cells": [', b'{"cells": 5}', b'{"nbformat": 4}', b'{"a":' * 5000, b"plain text"],
)
def test_a_damaged_notebook_is_a_fault_and_never_a_document(tmp_path: Path, data: bytes):
    (tmp_path / "a.ipynb").write_bytes(data)
    (item,) = read(tmp_path / "a.ipynb", format="tree")[0]
    assert isinstance(item, Reject)
    assert (item.reason, item.fault) == ("malformed_notebook", True)


def test_a_notebook_without_text_is_not_a_fault(tmp_path: Path):
    (tmp_path / "a.ipynb").write_bytes(notebook(("code", " ")))
    (item,) = read(tmp_path / "a.ipynb")[0]
    assert isinstance(item, Reject)
    assert (item.reason, item.fault) == ("no_text", False)

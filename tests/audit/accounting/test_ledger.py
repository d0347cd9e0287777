"""The ledger: documents, characters, bytes and tokens of each flow, and what is cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.accounting.ledger import Count, Flow, by_stage, ledger, rejects, sum_counts
from audit.query.reading import Damaged
from schemas.config import Config
from schemas.errors import InputError
from tests.support.finished_run import STEPS, given, settings, write_finished


def flow(out: Path, config: Config, stage: str, source: str = "ko") -> Flow:
    flows = [f for f in ledger(out, config).stages if (f.stage, f.source) == (stage, source)]
    assert len(flows) == 1
    return flows[0]


def test_counts_add_up_by_amount():
    one = Count(documents=1, raw_bytes=2, chars=3, text_bytes=4, tokens=5)
    assert sum_counts([one, one]) == Count(
        documents=2, raw_bytes=4, chars=6, text_bytes=8, tokens=10
    )
    assert sum_counts([]) == Count()


def test_the_first_rule_that_a_document_breaks_is_its_reason(tmp_path: Path):
    both = given("둘", last="dedup", words=1, hangul_ratio=0.0)
    config = write_finished(tmp_path, [both, given("하나 둘 셋")])
    assert set(ledger(tmp_path, config).sources["ko"].dropped) == {"words"}


def test_tokens_enter_at_tokenize_with_the_end_of_the_document(tmp_path: Path):
    config = write_finished(tmp_path, [given("abc def", "en")])
    encoded = flow(tmp_path, config, "tokenize", "en")
    assert encoded.entered.tokens == 0
    assert encoded.added == {"encoded": Count(tokens=8)}
    assert encoded.left.tokens == 8


def test_a_masked_value_takes_its_bytes_from_what_leaves(tmp_path: Path):
    text = "전화 010-1234-5678 번으로"
    start = len("전화 ".encode())
    spans = [{"start": start, "end": start + 13, "type": "PHONE_NUMBER"}]
    config = write_finished(tmp_path, [given(text, pii_spans=spans)])
    masked = flow(tmp_path, config, "tokenize")
    assert masked.edited == {"masked PHONE_NUMBER": Count(documents=1, text_bytes=13)}
    assert masked.left.text_bytes == len(text.encode()) - 13


def test_a_type_that_is_kept_is_not_an_edit(tmp_path: Path):
    spans = [{"start": 0, "end": 6, "type": "PERSON"}]
    config = settings(pii={"entities": {"PERSON": "keep"}})
    write_finished(tmp_path, [given("홍길 동이 왔다", pii_spans=spans)], config)
    assert flow(tmp_path, config, "tokenize").edited == {}


def test_overlapping_spans_count_each_byte_once(tmp_path: Path):
    spans = [
        {"start": 0, "end": 6, "type": "PERSON"},
        {"start": 3, "end": 10, "type": "PHONE_NUMBER"},
    ]
    config = write_finished(tmp_path, [given("abcdefghij klm nop", pii_spans=spans)], mixed=False)
    edited = flow(tmp_path, config, "tokenize").edited
    assert {name: count.text_bytes for name, count in edited.items()} == {
        "masked PERSON": 6,
        "masked PHONE_NUMBER": 4,
    }


def test_copies_beyond_the_first_are_repeated_tokens(tmp_path: Path):
    config = write_finished(tmp_path, [given("a b c", copies=3), given("d e f", copies=0)])
    mixed = flow(tmp_path, config, "mix")
    assert mixed.added == {"repeated": Count(tokens=12)}
    assert mixed.dropped == {"unused": Count(documents=1, tokens=6)}
    assert mixed.left == Count(documents=1, tokens=18)


def test_structure_of_the_format_is_dropped_by_ingest_in_bytes(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋")], structural=21)
    assert flow(tmp_path, config, "ingest").dropped == {"structure": Count(raw_bytes=21)}
    assert ledger(tmp_path, config).sources["ko"].structural_bytes == 21


def test_rejects_count_by_reason_and_faults_apart(finished: tuple[Path, Config]):
    out, config = finished
    assert ("ko", "malformed_json", True, Count(documents=1, raw_bytes=7)) in rejects(out)
    account = ledger(out, config).sources["ko"]
    assert (account.faults, {r: c.documents for r, c in account.rejected.items()}) == (
        1,
        {"malformed_json": 1, "no_text": 1},
    )


@pytest.mark.parametrize("steps", range(1, len(STEPS) + 1))
def test_a_run_cut_short_is_counted_as_far_as_it_got(tmp_path: Path, steps: int):
    config = write_finished(
        tmp_path,
        [
            given("하나 둘 셋"),
            given("하나", last="dedup"),
            given("나쁜 말 셋", last="screen", toxicity=1.0),
        ],
        steps=STEPS[:steps],
        mixed=False,
    )
    counted = ledger(tmp_path, config)
    assert counted.steps == list(STEPS[:steps])
    assert [total.stage for total in by_stage(counted)] == ["ingest", *STEPS[:steps]]
    measured, screened = "measure" in counted.steps, "screen" in counted.steps
    assert counted.sources["ko"].kept.documents == 3 - measured - screened
    assert bool(counted.sources["ko"].kept.chars) == measured


def test_a_gap_ends_the_finished_steps(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋")])
    (tmp_path / "annotations/sign/_manifest.json").unlink()
    assert ledger(tmp_path, config).steps == ["identify", "measure"]


def test_the_ledger_without_the_mixture_has_no_stage_mix(finished: tuple[Path, Config]):
    out, config = finished
    stages = {f.stage for f in ledger(out, config, mixed=False).stages}
    assert "mix" not in stages and "tokenize" in stages


def test_a_run_before_identify_names_the_step_that_is_missing(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋")], steps=(), mixed=False)
    with pytest.raises(InputError, match="identify has not finished; run `bibim run"):
        ledger(tmp_path, config)


def test_a_missing_shard_is_named_with_the_remedy(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋")])
    (tmp_path / "annotations/screen/ko-00000.parquet").unlink()
    with pytest.raises(Damaged) as error:
        ledger(tmp_path, config)
    assert "annotations/screen/ko-00000.parquet is missing" in str(error.value)
    assert f"`bibim run … --out {tmp_path}` writes it again" in str(error.value)


def test_a_truncated_shard_is_named_and_is_to_be_deleted(tmp_path: Path):
    config = write_finished(tmp_path, [given("하나 둘 셋")])
    path = tmp_path / "annotations/screen/ko-00000.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Damaged, match=r"ko-00000.parquet cannot be read .*; delete it: "):
        ledger(tmp_path, config)


def test_conditions_that_share_a_reason_are_one_line(tmp_path: Path):
    config = settings(rules={"ko": {"words": ">=3, <=4"}})
    documents = [
        given("하나 둘 셋"),
        given("하나 둘", last="dedup"),
        given("하나 둘 셋 넷 다섯", last="dedup"),
    ]
    write_finished(tmp_path, documents, config)
    lines = [line for line in ledger(tmp_path, config).lines if line.verdict == "words"]
    assert [line.count.documents for line in lines] == [2]

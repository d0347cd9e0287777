"""The configuration: one YAML file, one model per section, defaults in sight.

`schemas.load` reads the file and turns what is wrong with it into messages with line and key.
Every number here that comes from a paper or another project names its source.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from schemas.rules import ALL, Null, Rule, condition_text, parse_rule
from schemas.secret import Secret, parse_secret

Action = Literal["mask", "pseudonymise", "drop", "keep"]
Entity = Literal[
    "EMAIL_ADDRESS",
    "URL_CREDENTIALS",
    "PHONE_NUMBER",
    "KR_RRN",
    "KR_FRN",
    "KR_BRN",
    "KR_DRIVER_LICENSE",
    "CREDIT_CARD",
    "KR_BANK_ACCOUNT",
    "KR_ADDRESS",
    "KR_VEHICLE",
    "IBAN_CODE",
    "CRYPTO",
    "KR_PASSPORT",
    "IP_ADDRESS",
    "API_KEY",
    "PRIVATE_KEY",
    "PERSON",
]
"""Types of personal data; names as Presidio's where it has one."""
Repair = Literal["controls", "zero_width", "mojibake", "jamo", "html"]
Format = Literal["auto", "jsonl", "parquet", "text", "warc", "html", "tree"]

_SCALE = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_BYTE_SCALE = {
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
}


def parse_count(value: Any) -> Any:
    """Return 60_000_000 for "60M"; whole numbers pass through. Suffixes: k, M, B, T."""
    if isinstance(value, str):
        text = value.strip().lower().replace("_", "").replace(",", "")
        factor = _SCALE.get(text[-1:], 1)
        number = text[:-1] if factor > 1 else text
        try:
            return int(Fraction(number) * factor)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is no count; write 60M, 1.5B or 60000000") from None
    return value


def parse_bytes(value: Any) -> Any:
    """Return 64_000_000 for "64MB" and 67_108_864 for "64MiB"; whole numbers pass through."""
    if isinstance(value, str):
        text = value.strip().lower().replace("_", "")
        for suffix in sorted(_BYTE_SCALE, key=len, reverse=True):
            if text.endswith(suffix):
                try:
                    return int(Fraction(text[: -len(suffix)].strip()) * _BYTE_SCALE[suffix])
                except (ValueError, ZeroDivisionError):
                    break
        if not text.isdigit():
            raise ValueError(f"{value!r} is no size; write 64MB, 64MiB or 67108864")
        return int(text)
    return value


def parse_share(value: Any) -> Any:
    """Return Fraction(1, 3) for "1/3"; numbers become exact fractions of their decimal form."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no share; write 1/3 or 0.33")
    if isinstance(value, int | float | str):
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is no share; write 1/3 or 0.33") from None
    return value


Count = Annotated[int, BeforeValidator(parse_count), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
Share = Annotated[Fraction, BeforeValidator(parse_share), Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
SecretText = Annotated[Secret, BeforeValidator(parse_secret), PlainSerializer(str, return_type=str)]


class Section(BaseModel):
    """A section of the file. A key that it does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Source(Section):
    """Where documents come from, and which component they feed."""

    component: str
    """`ko`, `en`, `code` or a name of your own; `auto` lets the language decide."""
    path: str
    """A file, a folder (`tree`), a glob; local or `gs://`, `s3://`, `hdfs://`, `hf://`."""
    format: Format = "auto"
    text: str = "text"
    """The field (JSONL, Parquet) that holds the text."""
    license: str | None = None
    """Used where the record names none."""
    include: list[str] = []
    """Only files whose name matches one of these globs (`*.py`)."""
    limit: Count | None = None
    """At most so many documents, the same ones every time (by a hash of their ids)."""


class Ingest(Section):
    """Reading: how much may go wrong, how large a document and a shard may be."""

    max_reject_share: Unit = 0.01
    max_document_bytes: Bytes = 64_000_000
    repair: list[Repair] = ["controls", "zero_width", "mojibake", "jamo", "html"]
    """What is put right in text that is not code (`filters/text/repair.py`); the signal `repaired`
    tells how much was. Unicode is brought to NFC in any case."""
    shard_bytes: Bytes = 16_000_000
    """Uncompressed input that one document shard takes, about."""


class Identify(Section):
    """Language identification and the component of `auto` sources."""

    model: str = "default"
    """A fastText model file; `default` is lid.176.ftz as `make setup` put it in place."""
    thresholds: dict[str, Unit] = {"ko": 0.842, "en": 0.4}
    """Least score by language: below it, `lang` is `und`. Korean: FineWeb2 kor_Hang. English
    lower: technical pages are full of names."""
    default_threshold: Unit = 0.2
    """For languages without one of their own: enough for a label. Before a component is fed
    with another language, raise its threshold (FineWeb and DCLM ask 0.65 for English)."""
    components: dict[str, str] = {"ko": "ko", "en": "en"}
    """Which component a language feeds when the source says `auto`."""


class Measure(Section):
    """Heuristic signals. Thresholds are rules."""

    check_syntax: bool = False
    """Parse Python files (column `syntax_ok`). Costs three times as much as all other signals of
    code together; a rule of `code` that reads it needs it."""
    cut_tails: bool = True
    """Leave boilerplate at a document's edges (copyright lines, reporters' sign-offs, cookie
    banners: column `tails`) out of its tokens."""


class Lines(Section):
    """Lines and paragraphs that many documents hold: cut out of the tokens, see
    filters.dedup.common_lines.

    Counted over documents that are kept and no duplicates; code takes no part. The limits are by
    language, those for Korean and for all others from PLD (arXiv 2510.24139).
    """

    enabled: bool = False
    rare: dict[str, int] = {"ko": 3, "default": 1}
    """A line in up to so many documents is one of its own."""
    common: dict[str, int] = {"ko": 50, "default": 1000}
    """A line in more documents than this is always cut; one in between only away from own ones."""
    paragraphs: int | None = Field(50, ge=1)
    """A paragraph of two lines or more in more documents than this is cut; null: none is."""

    @model_validator(mode="after")
    def _limits(self) -> Lines:
        for key in ("rare", "common"):
            if "default" not in getattr(self, key):
                raise ValueError(f"`{key}` needs a limit under `default`, for other languages")
        for lang, most in self.common.items():
            if most < self.rare.get(lang, self.rare["default"]):
                raise ValueError(f"common.{lang} = {most} is below the limit in `rare`")
        return self


class Semantic(Section):
    """Documents that say the same as another, by their embeddings; see filters.dedup.semantic."""

    enabled: bool = False
    threshold: float = Field(0.95, gt=0, lt=1)
    """Cosine from which on a document falls to one that stays."""
    cells: int | None = Field(None, ge=1)
    """Of k-means; only documents of one cell are compared. Left out: one for 1,000 documents."""


class Dedup(Section):
    """Exact and near-duplicates. See filters.dedup.minhash for the formulas."""

    enabled: bool = True
    unit: Literal["chars", "words", "morphemes"] = "chars"
    """What a shingle counts; `chars` are letters and digits: white space and marks are left out,
    since Korean writers and copyists treat both as they please."""
    ngram: int = Field(5, ge=1, le=64)
    threshold: float = Field(0.8, gt=0, lt=1)
    """Jaccard similarity above which two documents are the same."""
    permutations: int = Field(128, ge=8, le=1024)
    bands: int | None = Field(None, ge=1)
    rows: int | None = Field(None, ge=1)
    """Given together, or both left to the optimal rule for `threshold`."""
    verify: bool = True
    """Check candidate pairs by exact Jaccard before they are joined."""
    against: list[str] = []
    """Output folders of earlier runs: what their survivors hold already is dropped here. Compared
    by stored signatures, so similarity is estimated (±0.04 at 128 permutations)."""
    urls: bool = False
    """Pages of one address (canonical form) are the same, whatever their texts; for crawls."""
    lines: Lines = Lines()
    semantic: Semantic = Semantic()
    prefer: list[str] = []
    """Sources whose copy survives, first wins; then the longest, then the smallest id."""
    seed: int = Field(1, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _bands_and_rows(self) -> Dedup:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("give both `bands` and `rows`, or neither")
        if self.bands and self.rows and self.bands * self.rows > self.permutations:
            raise ValueError(
                f"bands × rows = {self.bands * self.rows} is more than "
                f"permutations = {self.permutations}"
            )
        return self


class Decontaminate(Section):
    """Benchmark items that no training document may contain."""

    against: list[str] = []
    """JSONL files (`.zst`, `.gz`, plain) of items with a `text` field."""
    ngram: int = Field(13, ge=2, le=64)
    """Words (characters for Korean) that have to match in a run."""
    action: Literal["drop", "keep"] = "drop"


class Pii(Section):
    """Personal data: what to find, and what to do with it when tokens are written."""

    action: Action = "mask"
    entities: dict[Entity, Action] = {}
    """An action of its own by entity type, such as `EMAIL_ADDRESS: keep`."""
    disable: list[Entity] = ["PERSON"]
    """Entity types not to look for. Names are found beside a label only (담당자 …, … 님)."""
    drop_above: int | None = Field(None, ge=0)
    """Documents with more spans than this are dropped."""
    score_threshold: float = Field(0.5, ge=0.3, le=1)
    """Least score of a span. Shapes that need a context word beside them have 0.2."""
    keep_demographics: bool = False
    """Masked resident numbers keep the decade of birth and the digit of century and sex."""
    key: SecretText = Secret()
    """Secret of `pseudonymise`; write `${PII_KEY}` to take it from the environment. It is never
    written."""

    def pseudonymises(self) -> bool:
        """Return whether any type of entity gets pseudonyms, for which the key is needed."""
        return "pseudonymise" in (self.action, *self.entities.values())


class Toxicity(Section):
    """Hate, abuse and the like, by density over a document."""

    model: str = "default"
    """`default`, a file or folder that `bibim fit toxicity` wrote, or a Hugging Face sequence
    classifier by name or path."""
    label: str | None = None
    """The label of such a classifier that means toxic; of two the second if nothing is said."""
    batch: int = Field(256, ge=1)
    device: str = "auto"
    drop_above: Unit | None = 0.9
    spam_above: Unit | None = 0.9


class Quality(Section):
    """Quality from text embeddings."""

    embedder: str = "default"
    """`default` (in the package, no download) or a sentence-transformers name or path."""
    model: str = "default"
    """The head that turns an embedding into a score; `bibim fit quality` makes one."""
    drop_below: Unit | None = None
    batch: int = Field(256, ge=1)
    device: str = "auto"
    accelerator: str = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
    """The GPU that a Dataflow worker of `score` asks for where `device` is `cuda`."""


class Tokenizer(Section):
    """The SentencePiece model: trained here, or a file."""

    path: str | None = None
    vocab_size: int = Field(32_000, ge=512, le=1_000_000)
    morphemes: bool = True
    """Train so that no piece crosses a boundary between Kiwi's morphemes."""
    sample: Bytes = 24_000_000
    """Bytes of text to train on, drawn by the mixture's weights."""
    seed: int = Field(0, ge=0, lt=2**63)


class ComponentWeight(Section):
    """A component's share of the tokens and, inside it, weights of its sources."""

    share: Share
    sources: dict[str, Share] = {}
    """Relative weights; sources not named share by their tokens. Empty: all by their tokens."""


def _component_weight(value: Any) -> Any:
    return value if isinstance(value, dict | ComponentWeight) else {"share": value}


def _sum_to_one(weights: dict[str, ComponentWeight]) -> dict[str, ComponentWeight]:
    total = sum((weight.share for weight in weights.values()), Fraction(0))
    if weights and abs(total - 1) > Fraction(1, 1000):
        raise ValueError(
            f"the weights sum to {float(total):.4f}, not 1; fractions such as 1/3 are exact"
        )
    return weights


def condition_rule(text: str, null: Null | None = None) -> Rule:
    """Return the rule of `knowledge>=0.6` or, for one component or source, `ko.knowledge>=0.6`.

    `null`: what null means where the text does not say; left out, as in `rules`.
    """
    scoped = re.match(r"\s*[\w*-]+\.\w", text)
    return parse_rule(text if scoped else f"{ALL}.{text.strip()}", null)


class Upsample(Section):
    """Documents that weigh more than their tokens."""

    when: str
    """A condition on a column, such as `knowledge>=0.6`, or `ko.knowledge>=0.6` for one component
    or source. It does not hold where the column is null, unless it ends in `, null: keep`."""
    factor: Annotated[Fraction, BeforeValidator(parse_share), Field(gt=0)]
    """How many times its tokens a document weighs: 2 is twice as often as the others."""

    @property
    def rule(self) -> Rule:
        """The condition, as a rule that holds where the document is weighted."""
        return condition_rule(self.when, "drop")

    @model_validator(mode="after")
    def _parses(self) -> Upsample:
        _ = self.rule
        return self


class MixtureStage(Section):
    """A stretch of the training, in shards of its own: other weights, a longer context."""

    share: Annotated[Fraction, BeforeValidator(parse_share), Field(gt=0, le=1)]
    """Of the mixture's tokens; those of all stages sum to 1."""
    context: int | None = Field(None, ge=16)
    """Tokens of a training sequence; the trainer reads it from the manifest."""
    weights: Annotated[
        dict[str, Annotated[ComponentWeight, BeforeValidator(_component_weight)]],
        AfterValidator(_sum_to_one),
    ] = {}
    """By component; left out: the mixture's own strategy and weights."""
    only: list[str] = []
    """Conditions that its documents meet, such as `quality>=0.7` or `ko.knowledge>=0.5`, to end
    on the best. A document out of scope is taken; null means what it means in `rules`."""

    @property
    def rules(self) -> list[Rule]:
        """The conditions, as rules."""
        return [condition_rule(text) for text in self.only]

    @model_validator(mode="after")
    def _parses(self) -> MixtureStage:
        _ = self.rules
        return self


class Mixture(Section):
    """How many tokens, from where, in how many shards."""

    tokens: Count | None = None
    """None: as many as `max_epochs` and the weights allow."""
    strategy: Literal["fixed", "proportional", "temperature", "unimax"] = "fixed"
    weights: Annotated[
        dict[str, Annotated[ComponentWeight, BeforeValidator(_component_weight)]],
        AfterValidator(_sum_to_one),
    ] = {}
    temperature: float = Field(1.0, gt=0)
    upsample: list[Upsample] = []
    """Documents that weigh more, as HyperCLOVA X upsamples knowledge; the first condition that
    holds counts. Applied to what is left after deduplication; `max_epochs` still limits it."""
    max_epochs: float = Field(4.0, gt=0)
    """How often a source may be repeated, over all stages together."""
    stages: list[MixtureStage] = []
    """In the order of the training. What an earlier stage took comes last in a later one."""
    allow_short: bool = False
    shards: int = Field(8, ge=1, le=99_999)
    formats: list[Literal["megatron", "parquet", "mds"]] = ["megatron"]
    """`.bin` and `.idx` are always written; `parquet` (lists of tokens, for Hugging Face datasets)
    and `mds` (for MosaicML Streaming) beside them, in folders of their own."""
    seed: int = Field(0, ge=0, lt=2**63)
    window: Count = 5_000_000
    """Tokens: any stretch so long keeps the components' shares to within `window_tolerance`."""
    window_tolerance: Share = Fraction(3, 100)
    """Relative to the share. Documents too long for it are left out while others can fill in."""

    @model_validator(mode="after")
    def _stages_fit(self) -> Mixture:
        if not self.stages:
            return self
        total = sum((stage.share for stage in self.stages), Fraction(0))
        if total != 1:
            raise ValueError(f"the shares of `stages` sum to {float(total):g}, not to 1")
        if self.tokens is None:
            raise ValueError("`stages` share out `tokens`: say how many")
        if self.shards < len(self.stages):
            raise ValueError(f"{len(self.stages)} stages need as many shards at least")
        return self

    @model_validator(mode="after")
    def _fixed_has_weights(self) -> Mixture:
        if self.strategy == "fixed" and not self.weights:
            raise ValueError("`weights` is empty; write for example {ko: 1/3, en: 1/3, code: 1/3}")
        return self


GuardName = Literal["source_loss", "idle_rule", "steep_rule", "large_cluster", "short_component"]


class Guards(Section):
    """Warnings about what a run did: at its end, in `bibim audit show` and in `audit/stats.json`.

    A limit of null switches its guard off.
    """

    source_loss: Unit | None = 0.5
    """Share of a source's documents that one reason may take. That an `auto` source holds other
    languages does not count."""
    idle_rule: bool = True
    """Whether rules under `rules` that never are the reason of a drop are named."""
    steep_rule: Unit | None = 0.05
    """Share of a rule's documents that may change sides when its threshold moves by a tenth (by
    one, where the column counts and a tenth is less)."""
    large_cluster: int | None = Field(1000, ge=2)
    """Documents that a cluster of duplicates may have."""
    short_component: Unit | None = 0.01
    """Share of its target that a component of the mixture may lack."""
    least_documents: int = Field(200, ge=1)
    """Sources and rules with fewer documents are not judged."""
    fail_on: list[GuardName] = []
    """Guards whose findings make `bibim run` end with exit code 1."""


Condition = Annotated[str, BeforeValidator(condition_text)]
"""What is kept: ">=0.2", or several joined by commas: ">=1, <=10"; or a mapping, which becomes
such text. See `schemas.rules`."""


class Config(Section):
    """The whole file."""

    name: str
    data: str | None = None
    """A variable: `${data}` in any later value. `${HOME}` and the like are the environment's."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    rules: dict[str, dict[str, Condition]] = {}
    """By component, source or `all`: column → condition to be kept, as text (`">=1, <=10"`,
    `"in [ko, en]"`) or as a mapping (`{in: [CC0-1.0, MIT], null: drop}`). Order gives the reason.
    Where the column is null, a rule on a signal holds and a rule on a column of the document itself
    (`license`, `url`, `timestamp`, `meta`) fails; `null: keep` and `null: drop` override this."""
    ingest: Ingest = Ingest()
    identify: Identify = Identify()
    measure: Measure = Measure()
    dedup: Dedup = Dedup()
    decontaminate: Decontaminate = Decontaminate()
    pii: Pii = Pii()
    toxicity: Toxicity = Toxicity()
    quality: Quality = Quality()
    tokenizer: Tokenizer = Tokenizer()
    mixture: Mixture
    guards: Guards = Guards()

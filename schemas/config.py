"""The configuration: one YAML file, one model per section, every default beside its key.

`schemas.load` reads the file and reports its faults by line and key. Every number here that comes
from a paper or another project names its source.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from schemas.charsets import charset_name
from schemas.mixture import Mixture
from schemas.rules import condition_text
from schemas.secret import Secret
from schemas.values import Bytes, Count, SecretText, Section, Unit

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
"""Types of personal data; Presidio's names where it has one."""
Repair = Literal["controls", "zero_width", "mojibake", "jamo", "html"]
Format = Literal["auto", "jsonl", "parquet", "text", "warc", "html", "tree"]


class Source(Section):
    """Where documents come from, and which component they feed."""

    component: str
    """`ko`, `en`, `code` or a name of your own; with `auto` the language decides."""
    path: str
    """A file, a folder, a glob; local (`~`, `file://`) or `gs://`, `s3://`, `hdfs://`, `hf://`."""
    format: Format = "auto"
    """How the files are read; `auto` follows what each file holds, not its name."""
    text: str = "text"
    """The field (JSONL, Parquet) that holds the text; `a.b` is the field `b` inside of `a`."""
    encoding: Annotated[str, AfterValidator(charset_name)] | None = None
    """The charset of files without a byte-order mark (`cp949`, `utf-16`), believed unless it leaves
    more than a few bytes of a file undefined; unset: found from labels and bytes."""
    license: str | None = None
    """Used where the record names none."""
    include: list[str] = []
    """Only files whose name matches one of these globs (`*.py`, `src/*`), in any case."""
    limit: Count | None = None
    """Maximum number of documents: the same ones in every run (by a hash of their ids)."""


class Ingest(Section):
    """Reading: the errors that are tolerated, and the sizes of documents and shards."""

    max_reject_share: Unit = 0.01
    """Maximum share of a source's records, and of its bytes with those lost to damage, that may be
    unreadable; above it the run stops."""
    max_document_bytes: Bytes = 64_000_000
    """Longer records are rejected, never cut."""
    repair: list[Repair] = ["controls", "zero_width", "mojibake", "jamo", "html"]
    """Repairs to text that is not code (`filters/text/repair.py`); the signal `repaired` is
    the share of characters repaired. Text is normalised to NFC in any case."""
    shard_bytes: Bytes = 16_000_000
    """Approximate uncompressed input per document shard."""


class Identify(Section):
    """Language identification and the component of `auto` sources."""

    model: str = "default"
    """A fastText model file; `default` is lid.176.ftz as `make setup` installs it."""
    thresholds: dict[str, Unit] = {"ko": 0.842, "en": 0.4}
    """Minimum score by language: below it, `lang` is `und`. Korean: FineWeb2's kor_Hang. English
    is lower, because technical pages are full of names."""
    default_threshold: Unit = 0.2
    """Minimum score of all other languages: enough for a label. Before a component takes another
    language, raise that language's threshold (FineWeb and DCLM require 0.65 for English)."""
    components: dict[str, str] = {"ko": "ko", "en": "en"}
    """Language → the component of its documents, in sources whose component is `auto`."""


class Measure(Section):
    """Heuristic signals. Thresholds are rules."""

    check_syntax: bool = False
    """Parse Python files (column `syntax_ok`). Costs three times as much as all other signals of
    code together; rules on `syntax_ok` require it."""
    cut_tails: bool = True
    """Leave boilerplate at a document's edges (copyright lines, reporters' sign-offs, cookie
    banners: column `tails`) out of its tokens."""


class Lines(Section):
    """Lines and paragraphs that many documents share: cut out of the tokens, see
    filters.dedup.common_lines.

    Counted over documents that are kept and are not duplicates; code is excluded. Limits are by
    language; those for Korean and for all others are from PLD (arXiv 2510.24139).
    """

    enabled: bool = False
    """Whether common lines are counted and cut."""
    rare: dict[str, int] = {"ko": 3, "default": 1}
    """By language: a line in at most this many documents is the document's own."""
    common: dict[str, int] = {"ko": 50, "default": 1000}
    """By language: a line in more documents than this is always cut; a line between the two limits
    is kept only between lines of the document's own."""
    paragraphs: int | None = Field(50, ge=1)
    """A paragraph of two lines or more in more documents than this is cut; null: paragraphs are
    not cut."""

    @model_validator(mode="after")
    def _limits(self) -> Lines:
        for key in ("rare", "common"):
            if "default" not in getattr(self, key):
                raise ValueError(f"`{key}` needs a limit under `default`, for other languages")
        for lang, limit in self.common.items():
            if limit < self.rare.get(lang, self.rare["default"]):
                raise ValueError(f"common.{lang} = {limit} is below the limit in `rare`")
        return self


class Semantic(Section):
    """Documents with the same meaning as another, by embeddings; see filters.dedup.semantic."""

    enabled: bool = False
    """Whether `score` keeps its embeddings and documents are compared."""
    threshold: float = Field(0.95, gt=0, lt=1)
    """Cosine at or above which a document is dropped as a duplicate of one that is kept."""
    cells: int | None = Field(None, ge=1)
    """Cells of k-means; only documents of one cell are compared. Default: one per 1,000
    documents."""


class Dedup(Section):
    """Exact and near-duplicates. See filters.dedup.minhash for the formulas."""

    enabled: bool = True
    """Whether duplicates are found and dropped."""
    unit: Literal["chars", "words", "morphemes"] = "chars"
    """Unit of a shingle. `chars` are letters and digits: white space and punctuation are left out,
    because both vary freely between copies of Korean text."""
    ngram: int = Field(5, ge=1, le=64)
    """Units per shingle."""
    threshold: float = Field(0.8, gt=0, lt=1)
    """Jaccard similarity above which two documents are duplicates."""
    permutations: int = Field(128, ge=8, le=1024)
    """Hashes per signature: more are more accurate and slower."""
    bands: int | None = Field(None, ge=1)
    """Bands of the signature; two documents that share one are compared."""
    rows: int | None = Field(None, ge=1)
    """Rows per band. Give `bands` and `rows` together; by default both are optimal for
    `threshold`."""
    verify: bool = True
    """Check candidate pairs by exact Jaccard similarity before they are joined."""
    against: list[str] = []
    """Output folders of earlier runs: duplicates of the documents that they kept are dropped here.
    Compared by stored signatures, so similarity is estimated (±0.04 at 128 permutations)."""
    urls: bool = False
    """Pages with the same URL (canonical form) are duplicates, whatever their texts; for crawls."""
    lines: Lines = Lines()
    """Cutting of lines that many documents share."""
    semantic: Semantic = Semantic()
    """Duplicates in meaning."""
    prefer: list[str] = []
    """Sources whose copy is kept, in order of preference; then the longest copy, then the smallest
    id."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the hash functions."""

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
    """Consecutive words (characters for Korean) that must match."""
    action: Literal["drop", "keep"] = "drop"
    """`keep` marks contaminated documents and does not drop them."""


class Pii(Section):
    """Personal data: what to find, and what to do with it when tokens are written."""

    action: Action = "mask"
    """`mask` replaces a span with its entity type, `pseudonymise` with an invented value of the
    same shape; `drop` drops the document, `keep` changes nothing."""
    entities: dict[Entity, Action] = {}
    """Entity type → its action where it differs, such as `EMAIL_ADDRESS: keep`."""
    disable: list[Entity] = ["PERSON"]
    """Entity types not to detect. Names are detected beside a label only (담당자 …, … 님)."""
    drop_above: int | None = Field(None, ge=0)
    """Documents with more spans than this are dropped."""
    score_threshold: float = Field(0.5, ge=0.3, le=1)
    """Minimum score of a span. Patterns that need a context word beside them score 0.2 without."""
    keep_demographics: bool = False
    """Masked resident registration numbers keep the decade of birth and the digit for century and
    sex."""
    key: SecretText = Field(Secret(), json_schema_extra={"default": ""})
    """Secret of `pseudonymise`; write `${PII_KEY}` to take it from the environment. It is never
    written to a file."""

    def pseudonymises(self) -> bool:
        """Return whether any entity type is pseudonymised, which requires the key."""
        return "pseudonymise" in (self.action, *self.entities.values())


class Toxicity(Section):
    """Hate, abuse and the like, by density over a document."""

    model: str = "default"
    """`default`, a file or folder that `bibim fit toxicity` wrote, or a Hugging Face sequence
    classifier by name or path."""
    label: str | None = None
    """The classifier's label for toxic text. Default: the second of two labels."""
    batch: int = Field(256, ge=1)
    """Windows per forward pass of a transformer."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU where one is available."""
    drop_above: Unit | None = 0.9
    """Documents with a higher toxicity are dropped; null: none are."""
    spam_above: Unit | None = 0.9
    """Documents with a higher spam score are dropped; null: none are."""


class Quality(Section):
    """Quality scores from text embeddings."""

    embedder: str = "default"
    """`default` (in the package, no download) or a sentence-transformers name or path."""
    model: str = "default"
    """The head that maps an embedding to a score; `bibim fit quality` fits one."""
    drop_below: Unit | None = None
    """Documents with a lower quality are dropped; null: none are. The default model scores much
    good Korean prose low (docs/models.md)."""
    batch: int = Field(256, ge=1)
    """Documents per batch of embeddings."""
    device: str = "auto"
    """Device of a model: `cpu`, `cuda`, or `auto`: a GPU where one is available. `default` runs on
    the CPU."""
    accelerator: str = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
    """The GPU of a Dataflow worker of `score` where `device` is `cuda`."""


class Tokenizer(Section):
    """The SentencePiece model: trained here, or a file."""

    path: str | None = None
    """A SentencePiece model to use instead of training one."""
    vocab_size: int = Field(32_000, ge=512, le=1_000_000)
    """Pieces, control symbols and the 256 bytes included."""
    morphemes: bool = True
    """Train so that no piece crosses a boundary between Kiwi's morphemes."""
    sample: Bytes = 24_000_000
    """Bytes of training text, sampled by the mixture's weights."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the sample."""


GuardName = Literal["source_loss", "idle_rule", "steep_rule", "large_cluster", "short_component"]


class Guards(Section):
    """Warnings about a run: at its end, in `bibim audit show` and in `audit/stats.json`.

    A limit of null switches its guard off.
    """

    source_loss: Unit | None = 0.5
    """Share of a source's documents that one reason may drop. Other languages in an `auto` source
    do not count."""
    idle_rule: bool = True
    """Whether to warn of rules under `rules` that are the reason of no drop."""
    steep_rule: Unit | None = 0.05
    """Share of a rule's documents whose result may change when the threshold moves by a tenth (by
    one, for a column of counts, where a tenth is less)."""
    large_cluster: int | None = Field(1000, ge=2)
    """Maximum number of documents in a cluster of duplicates."""
    short_component: Unit | None = 0.01
    """Share of its target by which a component of the mixture may fall short."""
    least_documents: int = Field(200, ge=1)
    """Sources and rules with fewer documents are not checked."""
    fail_on: list[GuardName] = []
    """Guards whose findings make `bibim run` end with exit code 1."""


Condition = Annotated[
    str,
    BeforeValidator(condition_text),
    WithJsonSchema({"type": ["string", "object"], "examples": [">=0.2", {"in": ["ko", "en"]}]}),
]
"""What is kept: ">=0.2", or several joined by commas: ">=1, <=10"; or a mapping, which becomes
such text. See `schemas.rules`."""


class Config(Section):
    """The whole file."""

    name: str
    """Name of the run, in `run.json` and in the report."""
    data: str | None = None
    """A variable: `${data}` in any later value. Other variables, such as `${HOME}`, are the
    environment's."""
    sources: Annotated[dict[str, Source], Field(min_length=1)]
    """Where documents come from, by a name of your own."""
    rules: dict[str, dict[str, Condition]] = {}
    """By component, source or `all`: column → condition to be kept, as text (`">=1, <=10"`,
    `"in [ko, en]"`) or as a mapping (`{in: [CC0-1.0, MIT], null: drop}`). The first that fails
    gives the reason.
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

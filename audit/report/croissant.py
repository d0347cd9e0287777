"""Croissant metadata of a mixture: every file with its hash, and the sequences as records.

JSON-LD as MLCommons Croissant 1.0 defines it (Akhtar et al. 2024, arXiv 2403.19546).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification asks for, word for word."""
COLUMNS = (
    ("source", "sc:Text", "The source that the document is of."),
    ("component", "sc:Text", "The component of the mixture that it feeds."),
    ("epoch", "sc:Integer", "How many copies of the document the mixture had before, from 0."),
    ("tokens", "sc:Integer", "Tokens of the sequence, its end included."),
)
FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".bin": "application/octet-stream",
    ".idx": "application/octet-stream",
    ".mds": "application/octet-stream",
}


def croissant(facts: dict[str, Any], manifest: dict[str, Any], languages: list[str]) -> str:
    """Return the metadata as JSON. `facts`: see `audit.report.card.facts_of`."""
    listed = [file for shard in manifest["shards"] for file in shard["files"]]
    files = [*listed, *manifest["files"]]
    side_cars = [file["name"] for file in files if _is_side_car(file["name"])]
    shares = ", ".join(f"{part['name']} {part['share']:.2%}" for part in facts["components"])
    record = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts["name"],
        "description": (
            f"{facts['tokens']:,} tokens in {facts['shards']} shards from "
            f"{facts['documents']:,} documents: {shares}. Curated by Bibim; README.md tells how."
        ),
        "license": facts["licences"],
        "version": "1.0.0",
        "inLanguage": languages,
        "keywords": ["pretraining", "token mixture"],
        "distribution": [_file_object(file) for file in files],
        "recordSet": [_record_set(number, name) for number, name in enumerate(side_cars)],
    }
    if facts["date"]:
        record["datePublished"] = facts["date"]
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _file_object(file: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of one file of the mixture's manifest."""
    return {
        "@type": "cr:FileObject",
        "@id": file["name"],
        "name": file["name"],
        "contentUrl": file["name"],
        "contentSize": f"{file['bytes']} B",
        "encodingFormat": FORMATS[Path(file["name"]).suffix],
        "sha256": file["sha256"],
    }


def _record_set(number: int, side_car: str) -> dict[str, Any]:
    """Return the entry of shard `number`, whose sequences `side_car` names."""
    name = f"sequences-{number}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The documents of shard {number}, in the order of their tokens.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": description,
                "dataType": kind,
                "source": {"fileObject": {"@id": side_car}, "extract": {"column": column}},
            }
            for column, kind, description in COLUMNS
        ],
    }


def _is_side_car(name: str) -> bool:
    return name.startswith("shard-") and name.endswith(".parquet")

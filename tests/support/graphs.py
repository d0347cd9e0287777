"""What of a Dataflow job decides how it runs, and a runner that keeps it of every job of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.portability.api import beam_runner_api_pb2

from pipelines.runners.runner import Runner
from pipelines.storage.store import as_path
from tests.support import ROOT

GOLDEN = ROOT / "tests/pipelines/golden"
UPDATE = "BIBIM_UPDATE_GOLDEN"
"""Set it to 1 to write the golden files again."""
OPTIONS = (
    "--project=some-project",
    "--region=asia-northeast3",
    "--sdk_container_image=registry.example/bibim:1",
    "--dry_run=True",
    "--no_auth",
)


@dataclass(frozen=True)
class Recorder(Runner):
    """Builds each pipeline as a Dataflow job that is not sent, then runs it where `real` says."""

    real: Runner | None = None
    jobs: dict[str, Any] = field(default_factory=dict)
    """Label → Pipeline message."""

    def run(self, label: str, build: Callable[[beam.Pipeline], None]) -> None:
        self.jobs[label] = dry_run(label, build, self.options)
        if self.real is not None:
            replace(self.real, out=self.out).run(label, build)


def dry_run(
    label: str,
    build: Callable[[beam.Pipeline], None],
    options: tuple[str, ...] = (),
    lists: Path | None = None,
) -> Any:
    """Return the Pipeline message that Dataflow would get. `lists`: where long lists are written."""

    def with_lists(pipeline: Any) -> None:
        pipeline.lists = lists
        build(pipeline)

    runner = Runner("dataflow", 0, (*OPTIONS, *options), out=as_path("gs://bucket/run"))
    return runner.pipeline(label, with_lists).run().job.proto_pipeline


def graph(proto: Any) -> dict[str, Any]:
    """Return {steps, environments, hints, coders} of a Pipeline message.

    Generated ids are left out, so that two builds are alike.
    """
    parts = proto.components
    environments = {key: _environment(one) for key, one in parts.environments.items()}
    leaves = [one for one in parts.transforms.values() if one.spec.urn and not one.subtransforms]
    steps = {one.unique_name: one.spec.urn for one in leaves}
    hints, coders = {}, {}
    for one in leaves:
        if one.environment_id and (asked := environments[one.environment_id]["hints"]):
            hints[one.unique_name] = asked
        for name, output in sorted(one.outputs.items()):
            key = one.unique_name if len(one.outputs) == 1 else f"{one.unique_name} [{name}]"
            coders[key] = coder(proto, parts.pcollections[output].coder_id)
    used = {one.environment_id for one in leaves if one.environment_id}
    return {
        "steps": steps,
        "environments": sorted((environments[key] for key in used), key=str),
        "hints": hints,
        "coders": coders,
    }


def coder(proto: Any, key: str) -> str:
    """Return a coder with its parts, such as `kv<varint, pickled_python>`."""
    one = proto.components.coders[key]
    name = one.spec.urn.removeprefix("beam:coder:").removesuffix(":v1")
    inner = ", ".join(coder(proto, part) for part in one.component_coder_ids)
    return f"{name}<{inner}>" if inner else str(name)


def grouped_keys(proto: Any) -> dict[str, str]:
    """Return GroupByKey → coder of its keys."""
    parts = proto.components
    keys = {}
    for one in parts.transforms.values():
        if one.spec.urn == "beam:transform:group_by_key:v1":
            (source,) = one.inputs.values()
            pair = parts.coders[parts.pcollections[source].coder_id]
            keys[one.unique_name] = coder(proto, pair.component_coder_ids[0])
    return keys


def _environment(one: Any) -> dict[str, Any]:
    payload = beam_runner_api_pb2.DockerPayload.FromString(one.payload)
    return {
        "urn": one.urn,
        "image": str(payload.container_image),
        "hints": {
            urn.split(":")[-2]: value.decode() for urn, value in sorted(one.resource_hints.items())
        },
    }


def golden(label: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the graph kept for `label`; written first where the environment asks for it."""
    path = GOLDEN / f"{label}.json"
    if os.environ.get(UPDATE) == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return kept

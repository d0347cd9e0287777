"""Pre-training: the loop.

    bibim train pretrain trainer/configs/tiny.yaml --out out/tiny
    torchrun --nproc-per-node 8 -m trainer.pretrain CONFIG --out OUT

A step takes the next sequences of the order of training, whatever the number of processes. An
interrupted run resumes from its last checkpoint with the sequences that follow.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from schemas.errors import InputError, RunFault
from trainer.checkpoint import (
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from trainer.config import TrainConfig, load_training
from trainer.data import Corpus, Stage
from trainer.evaluate import HeldOutLoss, held_out_loss, unmeasured
from trainer.model.attention import document_mask
from trainer.model.loss import IGNORE
from trainer.model.model import Decoder
from trainer.optimise import learning_rate, make_optimiser
from trainer.processes import World, join_world, leave_world
from trainer.sharded import gathered, load_optimiser, shard_model
from trainer.track import Trackers

Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step of the plan: positions `first` to before `last` in the order of a stage."""

    stage: int
    first: int
    last: int


def plan_steps(stages: list[Stage], config: TrainConfig) -> list[Step]:
    """Return the steps of one pass over the stages, or `run.steps` steps."""
    steps = []
    for number, stage in enumerate(stages):
        per_step = max(1, config.batch.tokens // stage.context)
        steps += [
            Step(number, first, min(first + per_step, stage.sequences))
            for first in range(0, stage.sequences, per_step)
        ]
    wanted = config.run.steps
    if not steps:
        raise InputError(f"{config.mixture}: shorter than one sequence; lower batch.context")
    return steps if wanted is None else (steps * math.ceil(wanted / len(steps)))[:wanted]


def pretrain(
    config: TrainConfig, out: Path, say: Say = print, stop_after: int | None = None
) -> Path:
    """Train a model from random weights, or resume in `out`; return the last checkpoint.

    `stop_after`: return after this step, with the state saved, as if the run had been interrupted.
    Raises RunFault if the loss is not finite or jumps; the state is saved then.
    """
    world = join_world(config.run.device)
    try:
        return Pretraining(config, out, world, say).run(stop_after)
    finally:
        leave_world()


class Pretraining:
    """A run of pre-training in this process."""

    def __init__(self, config: TrainConfig, out: Path, world: World, say: Say) -> None:
        self.config, self.out, self.world = config, out, world
        self.say: Say = say if world.first else (lambda line: None)
        self._reported = False
        self.corpus = Corpus(config, verify=world.first)
        self.stages = self.corpus.stages
        self.steps = plan_steps(self.stages, config)
        smallest = min(config.batch.tokens // stage.context for stage in self.stages)
        if smallest < world.size:
            raise InputError(
                f"{world.size} processes for {smallest} sequences per step: start fewer "
                "processes, or raise batch.tokens"
            )
        torch.manual_seed(config.run.seed)
        self.model = Decoder(
            config.model, self.corpus.tokenizer.vocab_size, config.run.checkpointing
        )
        self.weights = sum(weight.numel() for weight in self.model.parameters())
        state = self._saved()
        if state:
            self.model.load_state_dict(state["model"])
        if config.run.compile:
            for block in self.model.blocks:
                block.compile(dynamic=False)
        if world.size > 1 and config.run.parallel == "fsdp":
            shard_model(self.model, world)
        else:
            self.model.to(world.device)
        self.runner: nn.Module = self.model
        if world.size > 1 and config.run.parallel == "ddp":
            self.runner = nn.parallel.DistributedDataParallel(self.model)
        self.optimiser = make_optimiser(self.model, config.optimiser)
        self.start = 0
        if state:
            load_optimiser(self.optimiser, state["optimiser"])
            torch.set_rng_state(state["rng"])
            self.start = int(state["step"])
        if world.sum(torch.tensor([self.start])).item() != self.start * world.size:
            raise InputError(
                f"{out}: process {world.rank} would resume from step {self.start}, other processes "
                "from a different step; name an --out that all processes share"
            )

    def _saved(self) -> dict[str, Any] | None:
        """Return the checkpoint to resume from. Raises InputError for another run's."""
        if not checkpoints(self.out):
            return None
        state = load_checkpoint(self.out)
        identity = self._identity()
        if state["identity"] != identity:
            changed = [key for key in identity if state["identity"].get(key) != identity[key]]
            raise InputError(
                f"{self.out}: its checkpoint is of another run ({', '.join(changed)} differ); "
                "name another --out, or the same settings"
            )
        return state

    def _identity(self) -> dict[str, Any]:
        """Return what a checkpoint and the run that resumes from it must have in common."""
        return {
            "model": self.config.model.model_dump(),
            "batch": self.config.batch.model_dump(exclude={"micro"}),
            "seed": self.config.run.seed,
            "held_out": self.config.run.held_out,
            "contexts": [[stage.context, len(stage.names)] for stage in self.stages],
            "tokenizer": self.corpus.tokenizer.sha256,
            "mixture": [
                [file["sha256"] for file in shard["files"]]
                for shard in self.corpus.manifest["shards"]
            ],
        }

    def run(self, stop_after: int | None = None) -> Path:
        """Train from the last checkpoint to the end."""
        config, world = self.config, self.world
        total = len(self.steps)
        self.say(f"{self.weights:,} parameters, {total:,} steps from step {self.start:,}")
        trackers = (
            Trackers(config.run.trackers, self.out, self.start, config.name, config.model_dump())
            if world.first
            else None
        )
        recent: deque[float] = deque(maxlen=100)
        end = min(total, stop_after or total)
        clock, seen = time.monotonic(), 0
        for number in range(self.start, end):
            self._enter(self.steps[number].stage)
            rate = learning_rate(number, total, config.optimiser)
            loss, tokens, norm = self._gradients(self.steps[number], rate)
            self._guard(loss, norm, recent, number)
            self.optimiser.step()
            seen += tokens
            done = number + 1
            recent.append(loss)
            if done % config.run.log_every == 0 or done == end:
                seconds = time.monotonic() - clock
                figures = self._figures(done, loss, rate, norm, seen / seconds)
                if trackers:
                    trackers.log(done, figures)
                self.say(
                    f"step {done:,}/{total:,}: loss {loss:.4f}, {seen / seconds:,.0f} tokens/s"
                )
                clock, seen = time.monotonic(), 0
            if done % config.run.evaluate_every == 0 or done == total:
                losses = held_out_loss(self.model, self.corpus, config.run.evaluate_tokens, world)
                if trackers:
                    trackers.log(done, {k: v for row in losses for k, v in row.figures().items()})
                self._report(losses)
                clock, seen = time.monotonic(), 0
            if done % config.run.save_every == 0 or done == end:
                self._save(done)
            world.wait()
        if trackers:
            trackers.close()
        return checkpoint_path(self.out, max(self.start, end))

    def _report(self, losses: list[HeldOutLoss]) -> None:
        """Log the held-out losses, and once the components that have none."""
        if losses:
            self.say("  held out: " + ", ".join(row.shown() for row in losses))
        if self.world.first and not self._reported:
            for line in unmeasured(self.corpus, losses):
                self.say(f"  {line}")
        self._reported = True

    def _enter(self, stage: int) -> None:
        long = self.config.model.long_rope_base
        longer = self.stages[stage].context > self.stages[0].context
        self.model.rope_base = long if long and longer else self.config.model.rope_base
        self.model.context = self.stages[stage].context

    def _gradients(self, step: Step, rate: float) -> tuple[float, int, float]:
        """Return the mean loss of the global batch, its tokens, and the gradient's norm."""
        config, world = self.config, self.world
        stage = self.stages[step.stage]
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        mine = range(step.first + world.rank, step.last, world.size)
        batches = list(self._batches(stage, mine))
        own = sum(int((targets != IGNORE).sum()) for _, targets, _ in batches)
        count = world.sum(torch.tensor([own], dtype=torch.float64)).item()
        total = torch.zeros((), dtype=torch.float64, device=world.device)
        self.optimiser.zero_grad(set_to_none=True)
        rounds = -(-(step.last - step.first) // world.size)
        per_round = max(1, config.batch.micro // stage.context)
        for at in range(-(-rounds // per_round)):
            final = at == -(-rounds // per_round) - 1
            with self._without_sync(final):
                # every process runs as many backward passes, or the others would wait forever
                batch = batches[at] if at < len(batches) else self._empty(stage)
                ids, targets, document = (
                    rows.to(world.device, non_blocking=True) for rows in batch
                )
                mask = document_mask(document) if config.batch.separate else None
                with self._cast():
                    loss = self.runner(ids, targets, mask)
                (loss * (world.size / count)).backward()
                total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.optimiser.clip)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        return world.sum(total.cpu()).item() / count, int(count), float(norm)

    def _batches(self, stage: Stage, numbers: range) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield inputs, targets and documents [rows, context], each of up to `micro` tokens."""
        per_round = max(1, self.config.batch.micro // stage.context)
        for first in range(0, len(numbers), per_round):
            rows = [self.corpus.sample(stage, n) for n in numbers[first : first + per_round]]
            ids = torch.from_numpy(np.stack([row.ids for row in rows]))
            targets = torch.from_numpy(np.stack([row.targets for row in rows]))
            yield ids, targets, torch.from_numpy(np.stack([row.document for row in rows]))

    def _empty(self, stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
        ids = torch.zeros((1, stage.context), dtype=torch.int64)
        return ids, torch.full_like(ids, IGNORE), torch.full_like(ids, -1)

    def _without_sync(self, final: bool) -> AbstractContextManager[None]:
        if isinstance(self.runner, nn.parallel.DistributedDataParallel) and not final:
            return self.runner.no_sync()
        return nullcontext()

    def _cast(self) -> AbstractContextManager[Any]:
        if self.config.run.dtype == "bfloat16":
            return torch.autocast(self.world.device.type, torch.bfloat16)
        return nullcontext()

    def _figures(
        self, done: int, loss: float, rate: float, norm: float, speed: float
    ) -> dict[str, float]:
        figures = {"loss": loss, "lr": rate, "gradient_norm": norm, "tokens_per_second": speed}
        peak = self.config.run.peak_tflops
        if peak:
            context = self.stages[self.steps[done - 1].stage].context
            flops = self.model.flops_per_token(context) * speed
            figures["mfu"] = flops / (peak * 1e12 * self.world.size)
        return figures

    def _guard(self, loss: float, norm: float, recent: deque[float], number: int) -> None:
        """Raise RunFault, with the state saved, before a step that would damage the weights."""
        mean = sum(recent) / len(recent) if recent else math.inf
        jumps = len(recent) >= 20 and loss > mean + self.config.run.spike
        finite = math.isfinite(loss) and math.isfinite(norm)
        if finite and not jumps:
            return
        saved = self._save(number)
        what = f"is {loss}, its gradient {norm}"
        if finite:
            what = f"jumped to {loss:.3f} from {mean:.3f}"
        raise RunFault(
            f"step {number + 1}: the loss {what}; the state is saved in {saved}. Lower "
            "optimiser.lr or optimiser.clip, inspect the sequences of this step, or raise "
            "run.spike; then resume with the same command"
        )

    def _save(self, done: int) -> Path:
        """Write a checkpoint. All processes call it, since each may hold a share of the weights."""
        first = self.world.first
        state = {
            "identity": self._identity(),
            "config": self.config.model_dump(mode="json"),
            "vocab_size": self.model.vocab_size,
            "rope_base": self.model.rope_base,
            "context": self.model.context,
            "model": gathered(self.model.state_dict(), first),
            "optimiser": gathered(self.optimiser.state_dict(), first),
            "rng": torch.get_rng_state(),
        }
        return save_checkpoint(self.out, done, state, self.config.run.keep) if first else self.out


def main() -> None:
    """Run under `torchrun`, without the command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    pretrain(load_training(args.config, args.set), args.out)


if __name__ == "__main__":
    main()

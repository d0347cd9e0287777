"""docs/sbr.md's tables from the JSON lines of `benchmarks/sbr.py`: ranks, paired tests, figures.

A cell is a task, a size and a seed; it counts if all methods are done on it. A configuration is
a task and a size: its mean over seeds ranks the methods, 1 the best, equal means share a rank.
The paired test is Wilcoxon's signed rank test, two-sided, without the pairs that are equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata, wilcoxon

TRIALS = 12
"""Trials per method and task."""

Row = Mapping[str, Any]
Config = tuple[str, Any]
Scores = dict[Config, dict[str, list[float]]]
"""Configuration → method → accuracies, seed by seed, the same seeds for every method."""

NAMES = {
    "plain": "plain",
    "l2": "L2",
    "l2-sp": "L2-SP",
    "delta": "DELTA",
    "bss": "BSS",
    "supcon": "SupCon",
    "mixout": "Mixout",
    "sbr": "SBR",
}


def scores(rows: Iterable[Row], tasks: Sequence[str]) -> Scores:
    """Return the accuracies on cells that all methods have done, in the order of `tasks`."""
    found: dict[Config, dict[int, dict[str, float]]] = {}
    for row in rows:
        if row["act"] == "run" and row["task"] in tasks:
            cell = found.setdefault((row["task"], row["size"]), {}).setdefault(row["seed"], {})
            cell[row["method"]] = row["accuracy"]
    whole = {
        config: [cell for _, cell in sorted(seeds.items()) if set(cell) == set(NAMES)]
        for config, seeds in sorted(found.items(), key=lambda item: _order(item[0], tasks))
    }
    return {
        config: {method: [cell[method] for cell in cells] for method in NAMES}
        for config, cells in whole.items()
        if cells
    }


def _order(config: Config, tasks: Sequence[str]) -> tuple[int, bool, int]:
    """Return a key that sorts by task, then sizes as numbers, then as shares."""
    task, size = config
    share = isinstance(size, str)
    return tasks.index(task), share, int(size.rstrip("%")) if share else size


def average_ranks(found: Scores) -> dict[str, float]:
    """Return each method's mean rank over configurations."""
    ranks = [
        rankdata([-np.mean(by_method[method]) for method in NAMES]) for by_method in found.values()
    ]
    return dict(zip(NAMES, np.mean(ranks, axis=0).tolist(), strict=True))


def differences(found: Scores, method: str, other: str) -> list[float]:
    """Return `method` less `other`, cell by cell."""
    return [
        round(one - two, 9)
        for by_method in found.values()
        for one, two in zip(by_method[method], by_method[other], strict=True)
    ]


def wilcoxon_p(apart: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed rank test; 1 where nothing differs."""
    unequal = [value for value in apart if value]
    return float(wilcoxon(unequal).pvalue) if unequal else 1.0


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def _mean_sd(values: Sequence[float]) -> str:
    mean = 100 * np.mean(values)
    return f"{mean:.1f} ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else f"{mean:.1f}"


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def accuracy_table(found: Scores) -> str:
    """Return configuration × method, mean ± sd over seeds in percent, the best in bold."""
    lines = []
    for (task, size), by_method in found.items():
        best = max(np.mean(values) for values in by_method.values())
        cells = [
            f"**{_mean_sd(values)}**" if np.mean(values) == best else _mean_sd(values)
            for values in by_method.values()
        ]
        lines.append([task, size, len(by_method["plain"]), *cells])
    return _table(["task", "size", "seeds", *NAMES.values()], lines)


def rank_table(found: Scores) -> str:
    """Return methods by average rank, each with its paired test against plain."""
    lines = []
    for method, rank in sorted(average_ranks(found).items(), key=lambda item: item[1]):
        apart = differences(found, method, "plain")
        line: list[object] = [NAMES[method], f"{rank:.2f}"]
        if method != "plain":
            better, worse = sum(a > 0 for a in apart), sum(a < 0 for a in apart)
            line += [f"{100 * np.mean(apart):+.2f}", f"{better} / {worse}", _p(wilcoxon_p(apart))]
        lines.append([*line, *[""] * (5 - len(line))])
    return _table(
        ["method", "average rank", "points over plain", "cells better / worse", "p (Wilcoxon)"],
        lines,
    )


def breakdown_table(found: Scores) -> str:
    """Return SBR against plain and against the best of the others, by task and by size."""
    ranks = average_ranks(found)
    rival = min((m for m in NAMES if m not in ("sbr", "plain")), key=lambda m: ranks[m])
    lines = []
    for place in (0, 1):
        for key in dict.fromkeys(config[place] for config in found):
            own = {config: scores for config, scores in found.items() if config[place] == key}
            line: list[object] = [key]
            for other in ("plain", rival):
                apart = differences(own, "sbr", other)
                line += [f"{100 * np.mean(apart):+.2f}", _p(wilcoxon_p(apart))]
            lines.append([*line, f"{average_ranks(own)['sbr']:.2f}"])
    head = ["task or size", "SBR − plain", "p", f"SBR − {NAMES[rival]}", "p", "SBR's average rank"]
    return _table(head, lines)


def verdict(found: Scores) -> str:
    """Return in a sentence whether SBR is first, and better than plain."""
    ranks = average_ranks(found)
    place = 1 + sum(rank < ranks["sbr"] for rank in ranks.values())
    first = min(ranks, key=lambda method: ranks[method])
    equal = [NAMES[m] for m in ranks if m != "sbr" and abs(ranks[m] - ranks["sbr"]) < 1e-9]
    shared = f", as {' and '.join(equal)}" if equal else ""
    apart = differences(found, "sbr", "plain")
    p = wilcoxon_p(apart)
    way = "better" if np.mean(apart) > 0 else "worse"
    sure = f"{way} than plain" if p < 0.05 else f"not distinguishable from plain (on average {way})"
    return (
        f"SBR is number {place} of {len(ranks)} in average rank ({ranks['sbr']:.2f}{shared}"
        + ("" if place == 1 else f"; {NAMES[first]} is first with {ranks[first]:.2f}")
        + f") over {len(found)} configurations, and {sure}: {100 * np.mean(apart):+.2f} points, "
        f"p {_p(p) if p < 1e-4 else '= ' + _p(p)} over {len(apart)} cells."
    )


def digits_part(rows: Sequence[Row]) -> str:
    """Return the image check: accuracies, ranks, and SBR against plain and L2-SP size by size."""
    found = scores(rows, ["digits"])
    if not found:
        return "Not run."
    lines = []
    for config, by_method in found.items():
        line: list[object] = [config[1]]
        for other in ("plain", "l2-sp"):
            apart = differences({config: by_method}, "sbr", other)
            line += [f"{100 * np.mean(apart):+.2f}", _p(wilcoxon_p(apart))]
        lines.append(line)
    head = ["samples per class", "SBR − plain", "p", "SBR − L2-SP", "p"]
    made = [verdict(found), accuracy_table(found), _table(head, lines), rank_table(found)]
    return "\n\n".join([*made, control_table(rows, found)])


def control_table(rows: Sequence[Row], found: Scores) -> str:
    """Return plain, plain with α·‖head‖² alone, and SBR; `found`: the digits' accuracies.

    The control is paired with SBR by size and seed. It takes no part in the ranks.
    """
    control = {
        (row["size"], row["seed"]): float(row["accuracy"])
        for row in rows
        if row["act"] == "control"
    }
    if not control:
        return "The control, α·‖head‖² alone: not run."
    lines: list[list[object]] = []
    everywhere: dict[str, list[float]] = {"plain": [], "control": [], "sbr": []}
    for (_, size), by_method in found.items():
        alone = [control[size, seed] for seed in range(len(by_method["sbr"]))]
        own = {"plain": by_method["plain"], "control": alone, "sbr": by_method["sbr"]}
        for name, values in own.items():
            everywhere[name] += values
        lines.append(_control_line(str(size), own))
    lines.append(_control_line("all", everywhere))
    head = ["samples per class", "plain", "control: plain + α·‖head‖²", "SBR", "SBR − control", "p"]
    return _table(head, lines)


def _control_line(name: str, own: Mapping[str, Sequence[float]]) -> list[object]:
    apart = [round(a - b, 9) for a, b in zip(own["sbr"], own["control"], strict=True)]
    means = [f"{100 * np.mean(values):.2f}" for values in own.values()]
    return [name, *means, f"{100 * np.mean(apart):+.2f}", _p(wilcoxon_p(apart))]


def text_part(rows: Sequence[Row], tasks: Sequence[str], cells: int) -> str:
    """Return the protocol's tables; `cells`: how many it has in full."""
    found = scores(rows, tasks)
    if not found:
        tried = sum(row["act"] == "trial" and row["task"] in tasks for row in rows)
        return (
            f"None of the protocol's {cells} cells is done; {tried} of "
            f"{TRIALS * len(NAMES) * len(tasks)} trials are."
        )
    done = sum(len(by_method["plain"]) for by_method in found.values())
    reached = ", ".join(dict.fromkeys(str(size) for _, size in found))
    covered = (
        f"Done: {done} of the protocol's {cells} cells (sizes reached: {reached}; tasks: "
        f"{', '.join(dict.fromkeys(task for task, _ in found))}), all methods on each."
    )
    return "\n\n".join(
        [
            covered,
            verdict(found),
            rank_table(found),
            breakdown_table(found),
            accuracy_table(found),
        ]
    )


def trials_part(rows: Sequence[Row]) -> str:
    """Return the choice of each method's trials, task by task."""
    tried: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["act"] == "trial":
            tried.setdefault((row["task"], row["method"]), []).append(row)
    best = {
        key: max(own, key=lambda row: float(row["accuracy"]))
        for key, own in tried.items()
        if len(own) == TRIALS
    }
    names = list(dict.fromkeys(task for task, _ in best))
    lines = [
        [NAMES[method]]
        + [
            f"{best[task, method]['rate']:g}, {best[task, method]['strength']:g}"
            if (task, method) in best
            else ""
            for task in names
        ]
        for method in NAMES
    ]
    return _table(["chosen: rate, strength", *names], lines)


def sweep_part(rows: Sequence[Row]) -> str:
    """Return SBR by β and by samples per class in a step, on validation parts."""
    lines = [
        [
            row["task"],
            f"{row['strength']:g}",
            row["per_class"],
            f"{100 * row['accuracy']:.1f} ± {100 * row['sd']:.1f}",
            f"{row['ratio']:.3f}",
        ]
        for row in rows
        if row["act"] == "sweep"
    ]
    if not lines:
        return "Not run."
    head = ["task", "β", "samples per class in a step", "validation accuracy", "within / between"]
    return _table(head, lines)


def cost_part(rows: Sequence[Row]) -> str:
    """Return the cost of a step relative to plain's."""
    lines = [
        [
            NAMES[row["method"]],
            f"{row['ratio']:.3f}",
            f"{row['peak'] / 1e6:.2f}",
            f"{row['held'] / 1e6:.2f}",
        ]
        for row in rows
        if row["act"] == "cost"
    ]
    if not lines:
        return "Not run."
    return _table(["method", "time of a step / plain's", "peak of a step, MB", "held, MB"], lines)


def analysis_part(rows: Sequence[Row]) -> str:
    """Return distances and spectra of features."""
    lines = [
        [
            row["task"],
            row["size"],
            NAMES.get(row["method"], row["method"]),
            f"{row['within']:.4g}",
            f"{row['between']:.4g}",
            f"{row['within'] / row['between']:.3f}",
            f"{row['rank']:.1f}",
        ]
        for row in rows
        if row["act"] == "analysis"
    ]
    if not lines:
        return "Not run."
    head = ["task", "samples per class", "features", "within", "between", "ratio", "effective rank"]
    return _table(head, lines)


def parts(rows: Sequence[Row], tasks: Sequence[str], cells: int) -> dict[str, str]:
    """Return the text between each pair of markers of the page."""
    made: dict[str, Callable[[], str]] = {
        "digits": lambda: digits_part(rows),
        "text": lambda: text_part(rows, tasks, cells),
        "trials": lambda: trials_part(rows),
        "sweep": lambda: sweep_part(rows),
        "cost": lambda: cost_part(rows),
        "analysis": lambda: analysis_part(rows),
    }
    return {name: make() for name, make in made.items()}


def filled(page: str, made: Mapping[str, str]) -> str:
    """Return `page` with each part between its markers. ValueError if a marker is missing."""
    for name, text in made.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        page, count = pattern.subn(lambda m, text=text: m[1] + text + m[2], page)
        if count != 1:
            raise ValueError(f"the page has {count} places between markers {name!r}, not one")
    return page


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw distances and singular values of features, one row of panels per task."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # after the backend is chosen

    colours = {"source": "#9ca3af", "plain": "#1d4ed8", "sbr": "#c2410c"}
    own = [row for row in rows if row["act"] == "analysis"]
    tasks = list(dict.fromkeys(row["task"] for row in own))
    figure, panels = plt.subplots(
        len(tasks), 2, figsize=(8.4, 2.7 * len(tasks)), dpi=100, layout="constrained", squeeze=False
    )
    for (left, right), task in zip(panels, tasks, strict=True):
        mine = [row for row in own if row["task"] == task]
        for place, row in enumerate(mine):
            name, colour = row["method"], colours[row["method"]]
            bars = [place, place + len(mine) + 1]
            left.bar(bars, [row["within"], row["between"]], color=colour)
            numbers = range(1, len(row["singular"]) + 1)
            label = (
                f"{NAMES.get(name, name)}: within / between {row['within'] / row['between']:.2f}"
            )
            right.plot(numbers, row["singular"], color=colour, label=label)
        left.set_xticks([1, len(mine) + 2], ["within a class", "between classes"])
        left.set(title=f"{task}: mean squared distance")
        right.set(yscale="log", title="singular values of the features", xlabel="number")
        right.legend(frameon=False, fontsize=8)
        for axis in (left, right):
            axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)

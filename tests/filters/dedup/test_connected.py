"""Components in memory and by star steps: the same labels, whatever the graph."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filters.dedup.connected import (
    Nodes,
    both_ways,
    components,
    forest,
    large_star,
    small_star,
    unique_pairs,
)

EDGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda e: e[0] != e[1]), max_size=60
).map(lambda edges: np.array([sorted(e) for e in edges], np.int64).reshape(-1, 2))


def walked(edges: Nodes) -> dict[int, int]:
    """Return the smallest node that each node reaches, by walking the graph."""
    near: dict[int, set[int]] = {}
    for one, other in edges.tolist():
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    label: dict[int, int] = {}
    for start in sorted(near):
        waiting = [] if start in label else [start]
        while waiting:
            node = waiting.pop()
            if node not in label:
                label[node] = start
                waiting += near[node]
    return label


@given(EDGES)
def test_labels_are_the_smallest_node_that_can_be_reached(edges: Nodes):
    nodes, labels = components(edges)
    assert dict(zip(nodes.tolist(), labels.tolist(), strict=True)) == walked(edges)


@given(EDGES)
def test_a_forest_connects_the_same_with_one_edge_less_than_nodes(edges: Nodes):
    fewer = forest(edges)
    assert walked(fewer) == walked(edges)
    labels = walked(edges)
    assert len(fewer) == len(labels) - len(set(labels.values()))


@given(EDGES)
def test_star_steps_end_in_stars_of_the_same_components(edges: Nodes):
    now, last = edges, np.zeros((0, 2), np.int64)
    rounds = 0
    while not np.array_equal(now, last):
        last, now = now, small_star(large_star(both_ways(now)))
        rounds += 1
        assert rounds < 20
    labels = {int(node): int(label) for label, node in now}
    assert len(labels) == len(now), "each node has one label"
    labels |= {label: label for label in labels.values()}
    assert labels == walked(edges)


@given(EDGES)
def test_unique_pairs_are_those_of_a_set(edges: Nodes):
    assert unique_pairs(edges).tolist() == sorted(map(list, set(map(tuple, edges.tolist()))))

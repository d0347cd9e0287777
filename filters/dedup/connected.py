"""Connected components: which documents belong to one cluster of duplicates.

`components` works in memory. `large_star` and `small_star` are the two steps of the distributed
algorithm (Kiveris et al. 2014, Connected Components in MapReduce and Beyond), each over the
edges of one partition of nodes; `pipelines.dedup.connect` alternates them.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Longs

Nodes = Longs


def components(edges: Nodes) -> tuple[Nodes, Nodes]:
    """Return (nodes, labels) of the graph of `edges` (int64 [edges, 2]).

    `nodes` are the different ends, sorted; a node's label is the smallest node of its
    component, so labels do not depend on the order of edges.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = np.unique(edges)
    if not len(nodes):
        return nodes, nodes.copy()
    ends = [np.searchsorted(nodes, edges[:, end]).astype(np.int32) for end in (0, 1)]
    ones = np.ones(len(edges), np.bool_)
    graph = coo_array((ones, (ends[0], ends[1])), shape=(len(nodes), len(nodes)))
    _, numbers = connected_components(graph, directed=False)
    # Nodes are sorted, so the first of a component is its smallest.
    _, first = np.unique(numbers, return_index=True)
    return nodes, nodes[first][numbers]


def forest(edges: Nodes) -> Nodes:
    """Return fewer edges (int64 [edges, 2]) that connect the same: each node to its label."""
    nodes, labels = components(edges)
    other = nodes != labels
    return np.column_stack([labels[other], nodes[other]])


def unique_pairs(pairs: Nodes) -> Nodes:
    """Return the different rows of int64 [pairs, 2], sorted."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[fresh]


def both_ways(edges: Nodes) -> Nodes:
    """Return each edge from either end: what `large_star` groups by the first column."""
    return np.concatenate([edges, edges[:, ::-1]])


def large_star(edges: Nodes) -> Nodes:
    """Link every larger neighbour of a node to the least of the node and its neighbours.

    `edges`: (node, neighbour), all that the nodes of the partition have, from both ends. Returns
    different (least, neighbour), smaller end first.
    """
    edges = unique_pairs(edges)
    nodes, neighbours = edges[:, 0], edges[:, 1]
    least = np.minimum(_first_neighbour(edges), nodes)
    larger = neighbours > nodes
    return unique_pairs(np.column_stack([least[larger], neighbours[larger]]))


def small_star(edges: Nodes) -> Nodes:
    """Link a node and its smaller neighbours to the least of these.

    `edges`: (smaller, node), all that the nodes of the partition have. Returns different
    (least, other), smaller end first.
    """
    turned = unique_pairs(edges[:, ::-1])
    nodes, smaller = turned[:, 0], turned[:, 1]
    least = _first_neighbour(turned)
    linked = np.concatenate([np.column_stack([least, nodes]), np.column_stack([least, smaller])])
    return unique_pairs(linked[linked[:, 0] != linked[:, 1]])


def _first_neighbour(edges: Nodes) -> Nodes:
    """Return for each row of sorted `edges` the least second end of its first end."""
    if not len(edges):
        return np.zeros(0, np.int64)
    fresh = np.ones(len(edges), np.bool_)
    fresh[1:] = edges[1:, 0] != edges[:-1, 0]
    return np.asarray(edges[np.flatnonzero(fresh)[np.cumsum(fresh) - 1], 1])

"""Connected components of a graph of duplicates: the clusters.

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

    `nodes` are the distinct ends, sorted; a node's label is the smallest node of its
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
    """Return edges (int64 [edges, 2]) from each node to its label: the same components."""
    nodes, labels = components(edges)
    other = nodes != labels
    return np.column_stack([labels[other], nodes[other]])


def unique_pairs(pairs: Nodes) -> Nodes:
    """Return the distinct rows of int64 [pairs, 2], sorted."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[fresh]


def both_ways(edges: Nodes) -> Nodes:
    """Return each edge in both directions, for `large_star`, which groups by the first column."""
    return np.concatenate([edges, edges[:, ::-1]])


def large_star(edges: Nodes) -> Nodes:
    """Link every larger neighbour of a node to the smallest of the node and its neighbours.

    `edges`: (node, neighbour), all edges of the partition's nodes, in both directions. Returns
    distinct (smallest, neighbour).
    """
    edges = unique_pairs(edges)
    nodes, neighbours = edges[:, 0], edges[:, 1]
    smallest = np.minimum(_first_neighbour(edges), nodes)
    larger = neighbours > nodes
    return unique_pairs(np.column_stack([smallest[larger], neighbours[larger]]))


def small_star(edges: Nodes) -> Nodes:
    """Link a node and its smaller neighbours to the smallest of these.

    `edges`: (smaller, node), all such edges of the partition's nodes. Returns distinct (smallest,
    other).
    """
    turned = unique_pairs(edges[:, ::-1])
    nodes, smaller = turned[:, 0], turned[:, 1]
    smallest = _first_neighbour(turned)
    linked = np.concatenate(
        [np.column_stack([smallest, nodes]), np.column_stack([smallest, smaller])]
    )
    return unique_pairs(linked[linked[:, 0] != linked[:, 1]])


def _first_neighbour(edges: Nodes) -> Nodes:
    """Return for each row of sorted `edges` the smallest neighbour of its first end."""
    if not len(edges):
        return np.zeros(0, np.int64)
    fresh = np.ones(len(edges), np.bool_)
    fresh[1:] = edges[1:, 0] != edges[:-1, 0]
    return np.asarray(edges[np.flatnonzero(fresh)[np.cumsum(fresh) - 1], 1])

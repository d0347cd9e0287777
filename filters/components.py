"""Connected components: which documents belong to one cluster of duplicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Nodes = npt.NDArray[np.int64]


def components(edges: Nodes) -> tuple[Nodes, Nodes]:
    """Return (nodes, labels) of the graph of `edges` (int64 [edges, 2]).

    `nodes` are the different ends, sorted; a node's label is the smallest node of its
    component, so labels do not depend on the order of edges.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, places = np.unique(edges, return_inverse=True)
    if not len(nodes):
        return nodes, nodes.copy()
    places = places.reshape(-1, 2).astype(np.int32)
    ones = np.ones(len(places), np.bool_)
    graph = coo_array((ones, (places[:, 0], places[:, 1])), shape=(len(nodes), len(nodes)))
    _, numbers = connected_components(graph, directed=False)
    smallest = np.full(numbers.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, numbers, nodes)
    return nodes, smallest[numbers]

"""Histograms: bins hold what their edges show."""

from __future__ import annotations

import numpy as np

from audit.query.histogram import bin_edges, shown_edges


def test_edges_have_the_digits_that_are_shown():
    values = np.random.default_rng(1).random(1000)
    edges, log = bin_edges(values, [0.1234567])
    shown = shown_edges(edges)
    assert not log
    assert all(float(f"{edge:.6g}") == edge for edge in shown)
    assert np.abs(shown - edges).max() < 1e-6


def test_edges_that_six_digits_do_not_tell_apart_stay():
    values = 1_000_000 + np.random.default_rng(1).random(1000)
    edges, _ = bin_edges(values, [])
    assert (shown_edges(edges) == edges).all()
    assert (np.diff(edges) > 0).all()

"""Numba kernels and helpers over Arrow buffers."""

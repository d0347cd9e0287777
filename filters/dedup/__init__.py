"""Duplicates and contamination: signatures, candidate pairs, clusters, common lines."""

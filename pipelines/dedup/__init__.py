"""Duplicates across all shards: keys, pairs, verification, clusters, labels."""

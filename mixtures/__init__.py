"""Solver, balanced order, token shards; the recipes lie beside the code as YAML."""

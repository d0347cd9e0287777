"""Solver, balanced order, token shards; the recipes are YAML files in this folder."""

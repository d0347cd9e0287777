"""Signatures of duplicates, pure and columnar."""

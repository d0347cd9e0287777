"""Totals of a run: the ledger, its checks, guards, comparison of two runs."""

"""Queries over annotations: the ledger, explanations, what-if."""

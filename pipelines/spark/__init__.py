"""Submission of a run to Spark."""

"""Dataflow: its options, and the driver of a run as a job of its own."""

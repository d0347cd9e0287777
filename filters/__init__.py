"""Signals, detectors and classifiers: pure functions from columns to columns, without Beam.

An annotator takes a `pa.RecordBatch` that holds document columns and what earlier stages
added, and returns a batch of the same rows with its own columns only.
"""

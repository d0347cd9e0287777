"""Signals, detectors and classifiers: pure functions from columns to columns, without Beam.

An annotator takes a `pa.RecordBatch` of document columns and of columns that earlier stages added.
It returns a batch of the same rows with its own columns only.
"""

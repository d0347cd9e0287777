"""Signals: one file a family, found by themselves; see docs/writing-a-filter.md.

A module here that defines `SIGNALS` (a `filters.measure.annotator.Family`) adds its columns to the
`measure` stage. Nothing else has to be touched.
"""

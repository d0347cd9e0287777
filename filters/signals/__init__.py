"""Signals, one file per family; docs/adding-a-signal.md shows how to add one.

A module here that defines `SIGNALS` (a `filters.signals.family.Family`) adds its columns to the
`measure` stage; nothing else has to be registered.
"""

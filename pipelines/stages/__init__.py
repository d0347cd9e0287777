"""Declarations: one file per stage, which loads no Beam, no runner and no model."""

"""Reads mixtures for training. No Beam here."""

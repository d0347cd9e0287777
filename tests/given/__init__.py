"""Inputs that readers met in the field, each with its right outcome."""

"""Inputs for every reader, each with its right outcome, written without a look at the readers."""

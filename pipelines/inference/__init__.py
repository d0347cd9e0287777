"""Stages that run a model through Beam's RunInference."""

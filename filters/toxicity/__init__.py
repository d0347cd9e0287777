"""Toxicity and spam."""

"""Verdicts for samples, and how far they can be trusted."""

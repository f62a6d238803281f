"""Experiments that are compared."""

"""A project of self-training, built on restem."""

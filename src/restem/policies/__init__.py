"""Policies as records and as folders: where they come from, what is kept, how they are handed on."""

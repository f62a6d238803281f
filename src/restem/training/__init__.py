"""The M-step: training set + base policy -> policy."""

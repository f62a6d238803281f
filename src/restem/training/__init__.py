"""The M-step: training set + base policy -> policy."""

from restem.training.request import TrainingResult
from restem.training.run import train

__all__ = ["TrainingResult", "train"]

"""A training process whose weights are divided among CPUs, which torch can do and accelerate will not ask it for.

Run in place of restem.training.worker: accelerate is told that its kind of device is one that it shards over.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType

from restem.training.worker import main

_begin = PartialState.__init__


def _begin_on_gpus(self: PartialState, cpu: bool = False, **options: Any) -> None:
    _begin(self, cpu=False, **options)


def _set_cpu(self: PartialState) -> None:
    self.device = torch.device("cpu")


PartialState.__init__ = _begin_on_gpus
PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
PartialState.set_device = _set_cpu

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A training in this process, alone or as one of several that train together."""

import gc
import math
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restem.engines.loading import without_progress_bars
from restem.errors import TrainingError
from restem.store.partials import link_or_copy
from restem.training.launch import is_first_process, training_arithmetic
from restem.training.request import TrainingRequest, TrainingResult
from restem.training.setup import set_up
from restem.training.workplace import Workplace

if TYPE_CHECKING:
    from restem.training.weighted_sft import WeightedSFTTrainer

_TOY_PARAMETERS = 1_000_000


def train_here(request: TrainingRequest) -> TrainingResult:
    """Return the finished training; of several processes that train together, each calls this.

    The first process alone writes.

    Raises:
        TrainingError: As `train`.
    """
    parameters, unfinished = request.parameters, request.unfinished
    with without_progress_bars(), _nothing_older_collected(), ExitStack() as stack:
        folder = unfinished or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workplace = Workplace(folder, checkpoint_every_s=parameters.checkpoint_every_s if unfinished else math.inf)
        if is_first_process():
            workplace.clear_unfinished()
        trainer = set_up(request, workplace)
        checkpoint = workplace.checkpoint()
        with _threads_for(trainer.model), _readable(checkpoint):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        result = _finish(trainer, request.output, training_arithmetic(parameters).dtype)
        del trainer
        _free_memory()
    return result


@contextmanager
def _readable(checkpoint: Path | None) -> Iterator[None]:
    """Say in one sentence that a checkpoint holds what restem did not write; nothing of it was run.

    Raises:
        TrainingError: With the folder to remove.
    """
    try:
        yield
    except pickle.UnpicklingError as error:
        if checkpoint is None:
            raise
        raise TrainingError(
            f"the checkpoint {checkpoint} holds something else than the state of a training, as when it was changed; "
            f"none of it was run. Remove {checkpoint.parent}, and run again: this training begins anew"
        ) from error


def _finish(trainer: "WeightedSFTTrainer", output: Path, dtype: str) -> TrainingResult:
    """Put the best weights where they belong: without validation, the last."""
    watch = trainer.watch
    best_step = watch.course.best_step or trainer.state.global_step
    if watch.course.best_step:
        if is_first_process():
            # Links, because a kill may come before the caller has the policy: the workplace must still be whole then.
            shutil.copytree(watch.workplace.weights(best_step), output, copy_function=link_or_copy, dirs_exist_ok=True)
    else:
        watch.save(trainer, output)
    return TrainingResult(output, watch.course.log, best_step, dtype, trainer.args.device.type, trainer.notes)


@contextmanager
def _nothing_older_collected() -> Iterator[None]:
    """Let what is collected meanwhile be what was made meanwhile: all imports take half a second."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _free_memory() -> None:
    import torch

    gc.collect()  # trainer and model refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _threads_for(model: Any) -> Iterator[None]:
    """Use one CPU thread for a toy model: sharing out its work would cost more than doing it."""
    import torch

    n_threads = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < _TOY_PARAMETERS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)

"""The M-step: base policy + training set -> a policy folder.

Every training starts from the base policy, on this iteration's samples only, with the loss on solution tokens only,
and keeps the weights with the best reward on validation questions.
Source: Singh et al. 2023, https://arxiv.org/abs/2312.06585, section 3. The paper reports no learning rate, batch
size, optimizer, number of epochs or patience: those are our choice.
"""

import gc
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.engines.loading import without_progress_bars
from restem.errors import EmptyTrainingSetError, TrainingError
from restem.parameters import TrainingParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.scale import LOCAL
from restem.schemas import check
from restem.store.journal import link_or_copy
from restem.store.tables import Table
from restem.training.launch_plan import is_first_process, launch_plan, training_arithmetic
from restem.training.progress import Workplace
from restem.training.request import TrainingRequest
from restem.training.setup import set_up
from restem.training.validation import Validation

if TYPE_CHECKING:
    from restem.training.weighted_sft import WeightedSFTTrainer

_TOY_PARAMETERS = 1_000_000


class TrainingResult(NamedTuple):
    """A finished training."""

    folder: Path  # of the policy
    log: list[dict[str, float]]  # per optimizer step: step, epoch, loss, learning_rate, grad_norm, n_tokens_*, and
    #                              where they were measured validation_reward and validation_loss
    best_step: int  # whose weights these are
    dtype: str  # of the arithmetic: float32 or bfloat16
    device: str  # cpu or cuda
    notes: list[str]  # what was done otherwise than usual, and why


def train(  # noqa: PLR0913 - everything that decides the weights
    training_set: Table,
    base_policy: Policy,
    *,
    parameters: TrainingParameters,
    output: Path,
    add_special_tokens: bool = True,
    validation: Validation | None = None,
    unfinished: Path | None = None,
    scale: ScaleParameters = LOCAL,
) -> TrainingResult:
    """Return the finished training of the base policy, saved as a new policy folder.

    The same arguments give the same weights, bit for bit, on one kind of CPU with one number of threads and of
    processes, whether or not the training was killed and started again on the way.

    Args:
        training_set: The table `training_set`.
        base_policy: Whose weights training starts from.
        parameters: `training`.
        output: The new folder; must not hold anything.
        add_special_tokens: False for prompts that hold theirs already, as chat templates write them.
        validation: What decides which weights are best; None trains all epochs and takes the last.
        unfinished: Folder of checkpoints, to go on from after a kill; the caller removes it when the policy is
            safe. None keeps nothing.
        scale: The cluster, if `training.launcher` is ray.

    Raises:
        EmptyTrainingSetError: If there is nothing to learn from.
        ParameterError: If batches cannot be cut into micro batches, or processes not be started as asked.
        PolicyError: If the base policy is gone or has changed.
        ScaleError: If the cluster cannot be had.
        TrainingError: If rows are too long or hold nothing to learn, the loss becomes infinite or NaN, the disk
            is full, or a process was killed.
    """
    return train_as_asked(
        TrainingRequest(training_set, base_policy, parameters, output, add_special_tokens, validation, unfinished),
        scale,
    )


def train_as_asked(request: TrainingRequest, scale: ScaleParameters = LOCAL) -> TrainingResult:
    """Return what `train` returns for these arguments."""
    if len(request.rows) == 0:
        raise EmptyTrainingSetError(
            "the training set is empty: no sample was good enough; raise sampling.n, or ask easier questions"
        )
    launch_plan(request.parameters)
    _check_folders(request)
    request = request._replace(rows=check("training_set", request.rows))
    if request.parameters.launcher == "in_process":
        return train_here(request)
    from restem.training.launcher import train_in_processes

    return train_in_processes(request, scale)


def train_here(request: TrainingRequest) -> TrainingResult:
    """Return the finished training; of several processes that train together, each calls this.

    The first process alone writes.

    Raises:
        TrainingError: As `train`.
    """
    rows, base_policy, parameters, output, add_special_tokens, validation, unfinished = request
    with without_progress_bars(), ExitStack() as held:
        folder = unfinished or Path(held.enter_context(tempfile.TemporaryDirectory()))
        workplace = Workplace(folder, checkpoint_every_s=parameters.checkpoint_every_s if unfinished else math.inf)
        if is_first_process():
            workplace.clear_unfinished()
        trainer = set_up(
            rows, base_policy, parameters, workplace, validation=validation, add_special_tokens=add_special_tokens
        )
        checkpoint = workplace.checkpoint()
        with _threads_for(trainer.model):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        result = _finish(trainer, output, training_arithmetic(parameters).dtype)
        del trainer
    _free_memory()
    return result


def _finish(trainer: "WeightedSFTTrainer", output: Path, dtype: str) -> TrainingResult:
    """Put the best weights where they belong: without validation, the last."""
    watch = trainer.watch
    best_step = watch.progress.best_step or trainer.state.global_step
    if watch.progress.best_step:
        if is_first_process():
            # Links, because a kill may come before the caller has the policy: the workplace must still be whole then.
            shutil.copytree(watch.workplace.weights(best_step), output, copy_function=link_or_copy, dirs_exist_ok=True)
    else:
        watch.save(trainer, output)
    return TrainingResult(output, watch.progress.log, best_step, dtype, trainer.args.device.type, trainer.notes)


def _check_folders(request: TrainingRequest) -> None:
    output = request.output
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise TrainingError(f"the policy was to be saved to {output}, which holds something already; give a new folder")
    request.base_policy.refuse_if_changed()


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

"""The M-step: base policy + training set -> a policy folder.

Every training starts from the base policy, on this iteration's samples only, with the loss on solution tokens only,
and keeps the weights with the best reward on validation questions.
Source: Singh et al. 2023, https://arxiv.org/abs/2312.06585, section 3. The paper reports no learning rate, batch
size, optimizer, number of epochs or patience: those are our choice.
"""

from dataclasses import replace
from pathlib import Path

from restem.errors import EmptyTrainingSetError, TrainingError
from restem.parameters import ScaleParameters, TrainingParameters
from restem.policies.policy import Policy
from restem.scale import LOCAL
from restem.schemas import check
from restem.store.tables import Table
from restem.training.in_process import train_here
from restem.training.launch import launch_of
from restem.training.launcher import train_in_processes
from restem.training.request import TrainingRequest, TrainingResult
from restem.training.validation import Validation


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

    The same arguments give the same bytes on one kind of CPU with as many threads and processes, killed or not.

    Args:
        training_set: The table `training_set`.
        base_policy: Whose weights training starts from.
        parameters: `training`.
        output: The new folder; must not hold anything.
        add_special_tokens: False for prompts that hold theirs already, as chat templates write them.
        validation: What decides which weights are best; None trains all epochs and takes the last.
        unfinished: Folder of checkpoints, to go on from after a kill; the caller removes it. None keeps nothing.
        scale: The cluster, if `training.launcher` is ray.

    Raises:
        EmptyTrainingSetError, PolicyError: If there is nothing to learn from, or the base policy is gone or changed.
        ParameterError, ScaleError: If batches cannot be cut, or the processes or the cluster not be had.
        TrainingError: If rows do not fit, the loss is not finite, the disk is full, or a process was killed.
    """
    request = TrainingRequest(
        rows=training_set,
        base_policy=base_policy,
        parameters=parameters,
        output=output,
        add_special_tokens=add_special_tokens,
        validation=validation,
        unfinished=unfinished,
    )
    return train_as_asked(request, scale)


def train_as_asked(request: TrainingRequest, scale: ScaleParameters = LOCAL) -> TrainingResult:
    """Return what `train` returns for these arguments."""
    if len(request.rows) == 0:
        raise EmptyTrainingSetError(
            "the training set is empty: no sample was good enough; raise sampling.n, or ask easier questions"
        )
    launch_of(request.parameters)
    _check_folders(request)
    checked = replace(request, rows=check("training_set", request.rows))
    if request.parameters.launcher == "in_process":
        return train_here(checked)
    return train_in_processes(checked, scale)


def _check_folders(request: TrainingRequest) -> None:
    output = request.output
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise TrainingError(f"the policy was to be saved to {output}, which holds something already; give a new folder")
    request.base_policy.refuse_if_changed()

"""What happens between the optimizer steps of a training: the reward is measured, checkpoints are written.

Imports transformers, so it is imported only by what is about to train.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from transformers import TrainerCallback

from restem.errors import BudgetError
from restem.policies.folder import save_policy
from restem.spending import spending
from restem.training.adapters import merged_weights, without_adapters
from restem.training.launch import outside_of_the_group
from restem.training.workplace import Course, Workplace

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)


class Trainer(Protocol):
    """What the watch needs of a trainer, transformers' own and what the M-step's adds."""

    state: Any
    accelerator: Any
    model: Any
    model_wrapped: Any

    def loss_on(self, batches: "list[dict[str, torch.Tensor]]") -> float | None:
        """Return the loss per learnt token of batches that are not trained on; None if there are none."""

    def room_on_the_device(self) -> AbstractContextManager[None]:
        """Return a context in which the device has room for an engine."""


class TrainingWatch(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Keeps the best weights by reward, ends the training when they stop getting better, and writes checkpoints."""

    def __init__(  # noqa: PLR0913 - what it decides by
        self,
        workplace: Workplace,
        *,
        base: Path,
        measured_after: frozenset[int],
        patience: int,
        reward_of: Callable[[Path], float],
        held_out: "list[dict[str, torch.Tensor]]",
    ) -> None:
        """Go on from where the workplace is.

        Args:
            workplace: Of this training.
            base: Folder of the policy that is trained, for the files that are not weights.
            measured_after: Optimizer steps after which the reward is measured; none trains to the end.
            patience: `training.patience`.
            reward_of: Policy folder -> its reward on the validation questions.
            held_out: Batches of solutions to them, for the loss that is logged beside the reward.
        """
        self.workplace, self.base = workplace, base
        self.course: Course = workplace.course()
        self._measured_after, self._patience = measured_after, patience
        self._reward_of, self._held_out = reward_of, held_out
        self._why_spent = ""  # what of the experiment's budget is, and how to go on

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a measurement and a checkpoint when they are due; both happen after the step is logged."""
        control.should_evaluate = state.global_step in self._measured_after
        # The clocks of processes differ, and a checkpoint takes all of them.
        due, self._why_spent = _as_first_process_says((self.workplace.checkpoint_is_due(), spending.why_spent()))
        control.should_save = state.global_step < state.max_steps and bool(due or self._why_spent)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop at a checkpoint, from which the training goes on, if what the experiment may take is spent.

        Raises:
            BudgetError: In every process.
        """
        if self._why_spent:
            raise BudgetError(self._why_spent)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the training when its reward has stopped getting better."""
        if self.course.n_not_better >= self._patience:
            control.should_training_stop = True
            control.should_save = False  # there is nothing left to go on with

    def validate(self, trainer: Trainer) -> None:
        """Measure the weights as the policy that they would be, and keep them if they are the best so far."""
        step = trainer.state.global_step
        loss = trainer.loss_on(self._held_out)
        is_first, reward = trainer.accelerator.is_main_process, 0.0
        folder = self.workplace.candidate(step) if is_first else self.workplace.folder
        self.save(trainer, folder)
        with trainer.room_on_the_device():  # on that of every process: an engine may use all of them
            if is_first:
                with outside_of_the_group():
                    reward = self._reward_of(folder)
            reward = _as_first_process_says(reward)
        is_best = self.course.note_validation(reward=reward, loss=loss)
        if is_first:
            (self.workplace.keep if is_best else self.workplace.drop)(step)
        of_loss = "" if loss is None else f", loss {loss:.4f}"
        _logger.info(
            "optimizer step %d of %d: validation reward %.3f%s; the best is %.3f at step %d",
            step,
            trainer.state.max_steps,
            reward,
            of_loss,
            self.course.best_reward,
            self.course.best_step,
        )

    def save(self, trainer: Trainer, folder: Path) -> None:
        """Write the weights as they are now as a policy folder; processes that hold parts bring them together."""
        weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if trainer.accelerator.is_main_process:
            model = trainer.accelerator.unwrap_model(trainer.model)
            save_policy(without_adapters(model), merged_weights(model, weights), self.base, folder)

    def publish_checkpoint(self, written: Path, trainer: Trainer) -> None:
        """Name the checkpoint that the trainer has written."""
        self.workplace.publish_checkpoint(written, trainer.state.global_step, self.course)

    def what_is_kept(self) -> str:
        """Return the end of an error's message: which weights survive it."""
        step = self.course.best_step
        if not step:
            return ""
        return (
            f". The best weights so far, of step {step} with a validation reward of {self.course.best_reward:.3f}, "
            f"are kept in {self.workplace.weights(step)}"
        )


def _as_first_process_says(value: Any) -> Any:
    """Return the first process's value in every process."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]

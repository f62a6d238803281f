"""TRL's SFTTrainer with the loss of the M-step: reward-weighted negative log-likelihood of solution tokens.

Imports torch and TRL, so it is imported only by what is about to train.

Deviations from SFTTrainer: rows have weights; the head computes logits only where a token is learnt; what all
rows of a micro batch begin with is computed once; the warm-up has no step with a learning rate of zero.
Source: Singh et al. 2023, https://arxiv.org/abs/2312.06585, equation 4 (the M-step).
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import DynamicCache, PreTrainedModel, TrainerControl
from transformers.cache_utils import DynamicLayer
from trl import SFTTrainer

from restem.engines.forward import name_of_cache
from restem.engines.memory import is_out_of_memory
from restem.errors import TrainingError
from restem.policies.folder import saving
from restem.screen import screen
from restem.training.rows import IGNORED, epoch_order
from restem.training.set_aside import is_scarce, set_aside, tensors_of
from restem.training.watch import TrainingWatch

_logger = logging.getLogger(__name__)

_N_LINES = 10  # of log per training


class EpochSampler(Sampler[int]):
    """The order of rows; another one in every epoch."""

    def __init__(self, lengths: list[int], *, batch_size: int, seed: int, multiple_of: int = 1) -> None:
        """Order rows of these lengths in tokens; an epoch is filled up with the index after the last row."""
        self.lengths, self.batch_size, self.seed, self._epoch = lengths, batch_size, seed, 0
        self._multiple_of = multiple_of

    def start_at(self, step: int) -> None:
        """Take the order of the epoch that follows so many optimizer steps, whole or gone on with."""
        self._epoch = step // math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self) -> Iterator[int]:
        """Yield the rows' indices."""
        yield from epoch_order(self.lengths, batch_size=self.batch_size, seed=self.seed, epoch=self._epoch)
        yield from [len(self.lengths)] * (len(self) - len(self.lengths))

    def __len__(self) -> int:
        """Return the number of rows, what fills up included."""
        return math.ceil(len(self.lengths) / self._multiple_of) * self._multiple_of


class WeightedSFTTrainer(SFTTrainer):  # type: ignore[misc] # TRL is not typed
    """SFTTrainer on batches of `restem.training.rows.collate`."""

    def __init__(
        self,
        *,
        sampler: EpochSampler,
        schedule: str,
        row_names: list[str],
        notes: list[str],
        watch: TrainingWatch,
        **options: Any,
    ) -> None:
        """Train on rows in the sampler's order; `row_names` says which a failed step had, `notes` what to record."""
        super().__init__(**options)
        self.notes = notes
        self.sampler, self.schedule, self.row_names, self.watch = sampler, schedule, row_names, watch
        self.add_callback(watch)
        self._batches: list[dict[str, torch.Tensor]] = []  # of the current optimizer step, those of this process
        self._n_trained = self._n_total = 0  # tokens of the step, of all processes
        # Else the trainer divides by the number of micro batches, and a short one counts as much as a long one.
        self.model_accepts_loss_kwargs = True

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """Return this process's micro batches of one optimizer step, and what to divide its loss by.

        That is the number of tokens that all processes learn in the step, over the number of processes: the gradient
        of the step is the mean of theirs.
        """
        # Its order is drawn when the first batch of an epoch is. The trainer's own word does not reach it through the
        # wrappers of a training in several processes that goes on within an epoch.
        self.sampler.start_at(self.state.global_step)
        self._batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        n_trained = sum(int((batch["targets"] != IGNORED).sum()) for batch in self._batches)
        n_total = sum(int(batch["n_tokens"]) for batch in self._batches)
        counts = self.accelerator.reduce(torch.tensor([n_trained, n_total], device=device), reduction="sum")
        self._n_trained, self._n_total = counts.tolist()
        return self._batches, torch.tensor(self._n_trained / self.accelerator.num_processes, device=device)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Return a micro batch's loss after its backward pass; out of memory, go on with half as many rows at once.

        The optimizer step stays what it was: its rows, and the number of tokens that its loss is divided by.
        """
        to_do = [inputs]
        while True:
            try:
                return [self._in_parts(model, batch, num_items_in_batch) for batch in to_do][-1]
            except (RuntimeError, MemoryError) as error:
                width = min(self.watch.course.micro_batch_size or len(inputs["rows"]), len(inputs["rows"])) // 2
                if not is_out_of_memory(error) or width == 0:
                    raise
                if self.accelerator.num_processes > 1:
                    # The others wait for this one's gradients, so it cannot take the step again alone.
                    raise TrainingError(
                        f"process {self.accelerator.process_index} of {self.accelerator.num_processes} is out of "
                        f"memory with {len(inputs['rows'])} rows at once; set training.micro_batch_size to {width}"
                    ) from error
            _logger.warning("out of memory: going on with micro batches of %d rows", width)
            self.watch.course.micro_batch_size = width
            model.zero_grad()
            # What had been accumulated is lost, so the step's earlier micro batches are done again.
            to_do = self._batches[: 1 + next(n for n, batch in enumerate(self._batches) if batch is inputs)]

    def _in_parts(self, model: Any, inputs: Any, num_items_in_batch: Any) -> torch.Tensor:
        rows = inputs["rows"].tolist()
        width = self.watch.course.micro_batch_size or len(rows)
        if width >= len(rows):
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        parts = [rows[start : start + width] for start in range(0, len(rows), width)]
        losses = []
        for part in parts:
            batch = self.data_collator([{"input_ids": [row]} for row in part])
            losses.append(super().training_step(model, batch, num_items_in_batch))
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return a micro batch's share of the loss: weighted, per token learnt in the whole optimizer step."""
        learnt = inputs["targets"] != IGNORED
        logits = learnt_logits(model, inputs, learnt, base=self.accelerator.unwrap_model(model))
        losses = torch.nn.functional.cross_entropy(logits.float(), inputs["targets"][learnt], reduction="none")
        weights = inputs["weights"].expand_as(learnt)[learnt]
        loss: torch.Tensor = (losses * weights).sum() / num_items_in_batch
        return loss

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        return self.sampler

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Return the schedule of the learning rate."""
        n_warmup = int(self.args.warmup_steps)
        self.lr_scheduler = LambdaLR(
            optimizer or self.optimizer,
            lambda step: learning_rate_share(
                step, n_steps=num_training_steps, n_warmup=n_warmup, schedule=self.schedule
            ),
        )
        return self.lr_scheduler

    def evaluate(self, *_arguments: Any, **_options: Any) -> dict[str, float]:
        """Measure the weights as they are now; the watch keeps them if they are the best so far."""
        # Whatever the measurement draws, the training's random numbers stay those of a run without it.
        with torch.random.fork_rng():
            self.watch.validate(self)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, {})
        return {}

    @contextmanager
    def room_on_the_device(self) -> Iterator[None]:
        """Leave the memory of the training's device to what is started here."""
        device = self.args.device
        tensors = tensors_of(self.model, self.optimizer) if is_scarce(device) else []
        with set_aside(tensors, device):
            yield

    def loss_on(self, batches: list[dict[str, torch.Tensor]]) -> float | None:
        """Return the loss per learnt token of batches that are not trained on; None if there are none."""
        n_learnt = sum(int((batch["targets"] != IGNORED).sum()) for batch in batches)
        if not n_learnt:
            return None
        self.model.eval()
        total = 0.0
        for batch in batches:
            with torch.no_grad(), self.compute_loss_context_manager():
                inputs = self._prepare_inputs(batch)
                total += self.compute_loss(self.model, inputs, num_items_in_batch=n_learnt).item()
        return total

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside its place, then name it: one that was cut short is never found."""
        written = self.watch.workplace.scratch / f"checkpoint-{self.state.global_step}"
        # Weights and the two moments of Adam, all float32.
        n_bytes = 12 * sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)
        with saving(written, n_bytes=n_bytes):
            super(SFTTrainer, self)._save_checkpoint(model, trial)  # SFTTrainer's own also writes a model card
        self.accelerator.wait_for_everyone()  # each process writes its random numbers
        if self.accelerator.is_main_process:
            self.watch.publish_checkpoint(written, self)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Note an optimizer step; stop when it has gone wrong, before anything is saved."""
        if "loss" not in logs:  # the trainer's own summary
            return
        step = self.state.global_step
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
            own = torch.cat([batch["rows"] for batch in self._batches]).to(self.args.device)
            rows = [self.row_names[row] for row in self.accelerator.gather(own).tolist() if row < len(self.row_names)]
            raise TrainingError(
                f"at optimizer step {step} of {self.state.max_steps} the loss was {logs['loss']} and the norm of its "
                f"gradient {logs['grad_norm']}; lower training.learning_rate (now {self.args.learning_rate}), or look "
                f"at the rows of that step: {', '.join(rows)}{self.watch.what_is_kept()}"
            )
        screen.live("training", f"optimizer step {step} of {self.state.max_steps}, loss {logs['loss']:.4f}")
        if step % max(1, self.state.max_steps // _N_LINES) == 0 or step == self.state.max_steps:
            _logger.info("optimizer step %d of %d: loss %.4f", step, self.state.max_steps, logs["loss"])
        self.watch.course.note_step(
            {
                "step": step,
                "epoch": float(self.state.epoch or 0.0),
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs["grad_norm"],
                "n_tokens_trained": self._n_trained,
                "n_tokens_total": self._n_total,
            }
        )


def learning_rate_share(step: int, *, n_steps: int, n_warmup: int, schedule: str) -> float:
    """Return the share of the peak learning rate at an optimizer step, never zero.

    Args:
        step: From 0.
        n_steps: In all.
        n_warmup: First steps, over which the share rises in a straight line.
        schedule: What follows: linear, cosine or constant.
    """
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    done = (step - n_warmup) / max(1, n_steps - n_warmup)
    shares = {"linear": 1.0 - done, "cosine": 0.5 * (1.0 + math.cos(math.pi * done)), "constant": 1.0}
    return shares[schedule]


def can_share_prefixes(model: PreTrainedModel) -> bool:
    """Return whether the model's memory of past tokens is plain keys and values of all of them."""
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def learnt_logits(
    model: Any, inputs: Mapping[str, torch.Tensor], learnt: torch.Tensor, *, base: PreTrainedModel
) -> torch.Tensor:
    """Return the logits of the learnt positions `(n learnt, vocabulary)`.

    Args:
        model: As it is called: perhaps in wrappers that share the work out.
        inputs: A batch of `restem.training.rows`.
        learnt: Which positions `(batch, time)`, true or false.
        base: The model without those wrappers.
    """
    # A packed batch has positions in place of a mask; with both, models would attend across its rows.
    where = "position_ids" if "position_ids" in inputs else "attention_mask"
    memory, past = name_of_cache(base), None
    rest = {"input_ids": inputs["input_ids"], where: inputs[where]}
    if inputs["prefix_ids"].shape[1]:
        past = DynamicCache(config=base.config)
        with head_at(base, torch.zeros_like(inputs["prefix_ids"], dtype=torch.bool)):
            model(input_ids=inputs["prefix_ids"], use_cache=True, **{memory: past})
        past.batch_repeat_interleave(len(learnt))  # gradients of all rows flow into the one prefix
    with head_at(base, learnt):
        logits: torch.Tensor = model(**rest, use_cache=past is not None, **{memory: past}).logits
    return logits


@contextmanager
def head_at(model: PreTrainedModel, positions: torch.Tensor) -> Iterator[None]:
    """Give the model's head only the hidden states at these positions `(batch, time)`, true or false.

    The head is a quarter of a small model's work, and most positions are prompt. What the model does to logits
    afterwards (scaling, capping) it still does.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise TrainingError(f"{type(model).__name__} has no output embeddings, so it is no language model to train")
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][positions],))
    try:
        yield
    finally:
        hook.remove()

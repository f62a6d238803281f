"""Rows and a base policy -> a trainer, ready to train: TRL's with the M-step's loss.

Imports torch and TRL in the functions that need them.
"""

import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restem.engines.context import context_window
from restem.errors import TrainingError
from restem.parameters import TrainingParameters
from restem.policies.policy import Policy
from restem.training.adapters import add_adapters
from restem.training.batches import Batching, batching
from restem.training.continuations import Continuations, writer_of
from restem.training.launch import Launch, is_first_process, launch_of, micro_batch_size, training_arithmetic
from restem.training.probe import refuse_unless_trainable, why_no_prefixes_are_shared
from restem.training.request import TrainingRequest
from restem.training.rows import Example, encode_rows, encode_training_set, row_names
from restem.training.validation import Validation, greedy_reward
from restem.training.workplace import Workplace, validation_steps

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from restem.training.watch import TrainingWatch
    from restem.training.weighted_sft import WeightedSFTTrainer

_logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 4 * 3600  # of a process for the first one, which measures the reward meanwhile


def set_up(request: TrainingRequest, workplace: Workplace) -> "WeightedSFTTrainer":
    """Return a trainer that has not trained yet.

    Args:
        request: What is to be trained, on what, and how.
        workplace: Where checkpoints and the best weights are kept meanwhile.

    Raises:
        PolicyError: If the base policy cannot be read.
        TrainingError: If rows are too long or hold nothing to learn, or the policy cannot be trained as asked.
    """
    from transformers import PrinterCallback

    from restem.training.weighted_sft import WeightedSFTTrainer

    parameters = request.parameters
    model = _model(request.base_policy)
    write = writer_of(request.base_policy.folder, add_special_tokens=request.add_special_tokens)
    context = context_window(model.config)
    examples = encode_training_set(request.rows, write, parameters=parameters, context=context)
    launch = launch_of(parameters)
    config = _trl_config(parameters, launch, n_rows=len(examples), scratch=workplace.scratch)
    if not launch.is_sharded:
        model.to(config.device)
    batches, notes = _way_of_batching(model, parameters, launch)
    trainer = WeightedSFTTrainer(
        model=add_adapters(model, parameters.lora, seed=parameters.seed) if parameters.lora else model,
        args=config,
        processing_class=write.tokenizer,
        schedule=parameters.schedule,
        row_names=row_names(request.rows),
        notes=notes,
        watch=_watch(request, workplace, batches, write, n_rows=len(examples)),
        **_data(examples, batches, parameters, launch),
    )
    trainer.remove_callback(PrinterCallback)
    _check_processes(trainer.accelerator, launch)
    return trainer


def _data(
    examples: Sequence[Example], batches: Batching, parameters: TrainingParameters, launch: Launch
) -> dict[str, Any]:
    """Return the trainer's arguments that say what its batches are made of, and in which order."""
    from datasets import Dataset

    from restem.training.weighted_sft import EpochSampler

    return {
        # SFTTrainer wants a column of this name; the examples themselves stay out of Arrow.
        "train_dataset": Dataset.from_dict({"input_ids": [[index] for index in range(len(examples) + 1)]}),
        "data_collator": lambda picked: batches.batch(examples, [row["input_ids"][0] for row in picked]),
        "sampler": EpochSampler(
            [len(example.input_ids) for example in examples],
            batch_size=parameters.batch_size,
            seed=parameters.seed,
            multiple_of=batches.size * launch.n_processes if launch.n_processes > 1 else 1,
        ),
    }


def _watch(
    request: TrainingRequest, workplace: Workplace, batches: Batching, write: Continuations, *, n_rows: int
) -> "TrainingWatch":
    """Return what measures the weights meanwhile, and keeps the best."""
    from restem.training.watch import TrainingWatch

    validation, mark = request.validation, request.parameters.learn_after
    solved = [] if validation is None else encode_rows(validation.solutions, write, learn_after=mark)
    return TrainingWatch(
        workplace,
        base=request.base_policy.folder,
        measured_after=_measured_after(request.parameters, n_rows) if validation else frozenset(),
        patience=request.parameters.patience,
        reward_of=partial(_reward_of, validation=validation, width_in=workplace.folder),
        held_out=batches.by_length(solved),
    )


def _model(policy: Policy) -> "PreTrainedModel":
    """Return a policy's model, as it is trained: all weights in float32."""
    import torch

    from restem.engines.loading import read_model

    model = read_model(policy.folder, torch.float32).train()
    # The M-step has one loss. What balances experts in pretraining is no part of it, and could not be computed on
    # batches that share a prefix.
    config = model.config.get_text_config()
    if hasattr(config, "output_router_logits"):
        config.output_router_logits = False
    return model


def _way_of_batching(
    model: "PreTrainedModel", parameters: TrainingParameters, launch: Launch
) -> tuple[Batching, list[str]]:
    """Return how rows are batched, and what is to be recorded about it.

    Raises:
        TrainingError: If the model could not learn from such batches what it is to learn.
    """
    wanted = batching(parameters, launch)
    if is_first_process() or not launch.is_sharded:  # of those that will divide the weights, one is enough
        refuse_unless_trainable(model, packing=wanted.packing, micro_batch_size=wanted.size)
    reason = why_no_prefixes_are_shared(model) if wanted.share_prefix else None
    if reason is None:
        return wanted, []
    note = f"what rows begin with is computed for each of them: {reason}"
    _logger.info("%s", note)
    return wanted._replace(share_prefix=False), [note]


def _reward_of(folder: Path, *, validation: Validation | None, width_in: Path) -> float:
    return greedy_reward(folder, validation, width_in=width_in) if validation else 0.0


def _check_processes(accelerator: Any, launch: Launch) -> None:
    """Raise unless the processes work together as planned: accelerate itself would go on as well as it can."""
    sharding = accelerator.distributed_type.value
    if accelerator.num_processes != launch.n_processes or (launch.is_sharded and sharding != launch.sharding):
        raise TrainingError(
            f"{launch.config} was to give {launch.n_processes} processes "
            f"({launch.sharding or 'whole weights in each'}), and there are {accelerator.num_processes} ({sharding})"
        )


def _measured_after(parameters: TrainingParameters, n_rows: int) -> frozenset[int]:
    if parameters.eval_every is None:
        return frozenset()
    n_steps = math.ceil(n_rows / parameters.batch_size)
    return validation_steps(parameters.epochs * n_steps, n_steps_per_epoch=n_steps, every=parameters.eval_every)


def _trl_config(parameters: TrainingParameters, launch: Launch, *, n_rows: int, scratch: Path) -> Any:
    import torch
    from trl import SFTConfig

    size = micro_batch_size(parameters, launch)
    n_steps = parameters.epochs * math.ceil(n_rows / parameters.batch_size)
    config = SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=parameters.epochs,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=parameters.batch_size // (size * launch.n_processes),
        learning_rate=parameters.learning_rate,
        warmup_steps=math.ceil(parameters.warmup_share * n_steps),
        weight_decay=parameters.weight_decay,
        max_grad_norm=parameters.max_grad_norm,
        seed=parameters.seed,
        bf16=training_arithmetic(parameters).dtype == "bfloat16",
        activation_checkpointing=parameters.gradient_checkpointing,
        gradient_checkpointing=None,  # the same under its old name, which TRL turns on
        use_cpu=not torch.cuda.is_available(),
        dataset_kwargs={"skip_prepare_dataset": True},  # restem encodes and refuses; TRL would truncate
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        router_aux_loss_coef=0.0,  # of experts: see _model
        report_to="none",
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,  # processes make unequal numbers of forward passes where rows share prompts
        ddp_timeout=_LONGEST_WAIT_S,
    )
    if config.n_gpu > 1:  # TRL refuses DataParallel; one process uses one GPU
        config._n_gpu = 1
    return config

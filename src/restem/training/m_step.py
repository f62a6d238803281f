"""The M-step, journaled: base policy + training set -> policy."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restem.parameters import TrainingParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.policies.retention import KEEP_ALL, WITHOUT_WEIGHTS, Retention, made_with
from restem.scale import LOCAL
from restem.screen import screen
from restem.spending import spending
from restem.store.fingerprints import fingerprint, folder_fingerprint
from restem.store.journal import Journal, JournalEntry
from restem.store.provenance import OF_TRAINING, versions
from restem.store.tables import ShardedTable, Table
from restem.training.gate import refuse_unless_passed
from restem.training.launch import decides_weights
from restem.training.request import TrainingRequest
from restem.training.validation import Validation, validation_decided_by

_LOG = "log.json"
_NOTES = "notes.json"
_UNFINISHED = "unfinished"
_COLUMNS = [
    "step",
    "epoch",
    "loss",
    "learning_rate",
    "grad_norm",
    "n_tokens_trained",
    "n_tokens_total",
    "validation_reward",
    "validation_loss",
]


@dataclass(frozen=True, kw_only=True)
class MStep:
    """What a policy is made with, apart from the training set."""

    base_policy: Policy  # the experiment's; training starts from it, unless `training.start_from` says otherwise
    parent: Policy  # that the samples came from
    training: TrainingParameters
    validation: Validation | None  # what decides when to stop; None trains all epochs
    add_special_tokens: bool  # as for sampling
    scale: ScaleParameters = LOCAL  # the cluster, if `training.launcher` is ray

    @property
    def start(self) -> Policy:
        """Return the policy whose weights training starts from, by `training.start_from`."""
        return {"base": self.base_policy, "previous": self.parent}[self.training.start_from]

    def request(self, rows: Table) -> TrainingRequest:
        """Return what is asked for, with these rows; where it goes is not said yet."""
        return TrainingRequest(
            rows=rows,
            base_policy=self.start,
            parameters=self.training,
            output=Path(),
            add_special_tokens=self.add_special_tokens,
            validation=self.validation,
            unfinished=None,
        )


def train_policy(
    training_set: ShardedTable, gate: Table, step: MStep, *, journal: Journal, retention: Retention = KEEP_ALL
) -> tuple[Policy, Table]:
    """Return the trained policy and the log of its training, a row per optimizer step.

    Args:
        training_set: What to learn from.
        gate: What was found in it; nothing is trained if a check failed.
        step: What else decides the weights, and where they are made.
        journal: Where a finished training is found again, and an unfinished one goes on.
        retention: Which weights the experiment keeps; what it deleted is not trained again.

    Raises:
        BudgetError: If what the experiment may take is spent; a training that was begun has a checkpoint then.
        EmptyTrainingSetError: If there is nothing to learn from.
        PolicyError: If the base policy has changed since the experiment began.
        ScaleError: If the cluster cannot be had.
        TrainingError: If the training set did not pass the gate, or training cannot go on.
    """
    import pandas as pd

    refuse_unless_passed(gate)
    if step.start is not step.base_policy:
        step.base_policy.refuse_if_changed()
    request = step.request(training_set.to_pandas())
    decided_by = policy_decided_by(request, step.scale)
    entry = journal.open("policy", **decided_by)
    deleted = None if entry.has("policy") else retention.deleted(entry)
    if deleted is None:
        # In the arithmetic that was resolved here, so that no machine that takes part resolves it otherwise.
        training = replace(step.training, dtype=decided_by["training"]["dtype"])
        _train(replace(request, parameters=training, unfinished=entry.path(_UNFINISHED)), entry, step.scale)
    made = made_with(decided_by, n_rows=len(request.rows), notes=_read(entry, _NOTES))
    folder = entry.path(WITHOUT_WEIGHTS if deleted else "policy")
    policy = _policy(step, folder, made, deleted=deleted)
    return policy, pd.DataFrame(_read(entry, _LOG), columns=_COLUMNS)


def _policy(step: MStep, folder: Path, made: dict[str, Any], *, deleted: str | None) -> Policy:
    """Return the record of a policy; one whose weights were deleted has the fingerprint that it had."""
    base = step.base_policy
    return Policy(
        path=folder.as_posix(),
        fingerprint=deleted or folder_fingerprint(folder),
        iteration=step.parent.iteration + 1,
        name=base.name,
        base=base.fingerprint,
        parent=step.parent.fingerprint,
        trained_from=step.start.fingerprint,
        revision=base.revision,
        made_with=made,
        deleted=deleted is not None,
    )


def _read(entry: JournalEntry, name: str) -> list[Any]:
    content: list[Any] = json.loads(entry.read_text(name))
    return content


def policy_decided_by(request: TrainingRequest, scale: ScaleParameters = LOCAL) -> dict[str, Any]:
    """Return all that decides the weights that come of a request, as JSON-like values; not where they are put.

    Raises:
        EngineError: If the engine of the validation cannot be had.
        ParameterError: If the training cannot be started as asked.
    """
    return {
        "start": request.base_policy.fingerprint,
        "training_set": fingerprint(request.rows.astype(object).to_numpy().tolist()),
        "training": decides_weights(request.parameters, scale),
        "validation": None if request.validation is None else validation_decided_by(request.validation),
        "add_special_tokens": request.add_special_tokens,
        "versions": versions(*OF_TRAINING),
    }


def _train(request: TrainingRequest, entry: JournalEntry, scale: ScaleParameters) -> None:
    """Leave the policy and the log of its training in the journal, whole, and no checkpoint."""
    from restem.training.run import train_as_asked

    def make(folder: Path) -> None:
        result = train_as_asked(replace(request, output=folder), scale)
        entry.write_text(_LOG, json.dumps(result.log))
        entry.write_text(_NOTES, json.dumps(result.notes))

    with entry.making([_LOG, _NOTES, "policy"]) as missing:
        if missing:
            spending.refuse_if_spent()
            entry.write("policy", make)
        else:
            screen.note("in the journal, not trained again")
    if request.unfinished:
        shutil.rmtree(request.unfinished, ignore_errors=True)  # only now that the policy is whole, so nobody needs it

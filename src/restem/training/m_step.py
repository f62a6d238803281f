"""The M-step, journaled: base policy + training set -> policy."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from restem.parameters import TrainingParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.policies.retention import KEEP_ALL, WITHOUT_WEIGHTS, Retention, made_with
from restem.scale import LOCAL
from restem.screen import screen
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


def starting_policy(base_policy: Policy, previous: Policy, training: TrainingParameters) -> Policy:
    """Return the policy whose weights training starts from, by `training.start_from`."""
    return {"base": base_policy, "previous": previous}[training.start_from]


def train_policy(  # noqa: PLR0913 - everything that decides the weights
    training_set: ShardedTable,
    gate: Table,
    base_policy: Policy,
    *,
    parent: Policy,
    journal: Journal,
    training: TrainingParameters,
    validation: Validation | None,
    add_special_tokens: bool,
    retention: Retention = KEEP_ALL,
    scale: ScaleParameters = LOCAL,
) -> tuple[Policy, Table]:
    """Return the trained policy and the log of its training, a row per optimizer step.

    Args:
        training_set: What to learn from.
        gate: What was found in it; nothing is trained if a check failed.
        base_policy: The experiment's; training starts from it, unless `training.start_from` says otherwise.
        parent: The policy that the samples came from.
        journal: Where a finished training is found again, and an unfinished one goes on.
        training: The M-step's parameters.
        validation: What decides when to stop; None trains all epochs.
        add_special_tokens: As for sampling.
        retention: Which weights the experiment keeps; what it deleted is not trained again.
        scale: The cluster, if `training.launcher` is ray.

    Raises:
        EmptyTrainingSetError: If there is nothing to learn from.
        PolicyError: If the base policy has changed since the experiment began.
        ScaleError: If the cluster cannot be had.
        TrainingError: If the training set did not pass the gate, or training cannot go on.
    """
    import pandas as pd

    refuse_unless_passed(gate)
    start = starting_policy(base_policy, parent, training)
    if start is not base_policy:
        base_policy.refuse_if_changed()
    rows = training_set.to_pandas()
    request = TrainingRequest(
        rows=rows,
        base_policy=start,
        parameters=training,
        output=Path(),
        add_special_tokens=add_special_tokens,
        validation=validation,
        unfinished=None,
    )
    decided_by = policy_decided_by(request, scale)
    entry = journal.open("policy", **decided_by)
    deleted = None if entry.has("policy") else retention.deleted(entry)
    folder = entry.path(WITHOUT_WEIGHTS if deleted else "policy")
    if deleted is None:
        # In the arithmetic that was resolved here, so that no machine that takes part resolves it otherwise.
        training = replace(training, dtype=decided_by["training"]["dtype"])
        asked = replace(request, parameters=training, output=folder, unfinished=entry.path(_UNFINISHED))
        _train(asked, entry, scale)
    policy = Policy(
        path=folder.as_posix(),
        fingerprint=deleted or folder_fingerprint(folder),
        iteration=parent.iteration + 1,
        name=base_policy.name,
        base=base_policy.fingerprint,
        parent=parent.fingerprint,
        trained_from=start.fingerprint,
        revision=base_policy.revision,
        made_with=made_with(decided_by, n_rows=len(rows), notes=_read(entry, _NOTES)),
        deleted=deleted is not None,
    )
    return policy, pd.DataFrame(_read(entry, _LOG), columns=_COLUMNS)


def _read(entry: JournalEntry, name: str) -> list[Any]:
    found: list[Any] = json.loads(entry.read_text(name))
    return found


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
            entry.write("policy", make)
        else:
            screen.note("in the journal, not trained again")
    if request.unfinished:
        shutil.rmtree(request.unfinished, ignore_errors=True)  # only now that the policy is whole, so nobody needs it

"""The record of an iteration: one JSON object from which reports, MLflow and the next iteration know it.

It is the last thing that an iteration writes; an iteration without a record is not complete.
"""

from collections.abc import Mapping
from typing import Any

from restem.parameters import Parameters
from restem.policies.policy import Policy
from restem.rewards import opinions
from restem.store.fingerprints import fingerprint
from restem.store.plain import plain
from restem.store.provenance import git_commit, versions
from restem.store.records import FORMAT
from restem.store.tables import ShardedTable, Table


def make_record(
    policy: Policy,
    questions_summary: Mapping[str, Any],
    metrics: Mapping[str, Any],
    parameters: Parameters,
    *,
    decided_by: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the record of an evaluated policy.

    Args:
        policy: That was evaluated.
        questions_summary: Of the experiment.
        metrics: By suite.
        parameters: As they were asked for; those that were not named are recorded too, whatever was run.
        decided_by: What decides over iterations, as it became on this machine; see restem.configuration.consistency.
    """
    return {
        "format": FORMAT,
        "iteration": policy.iteration,
        "policy": policy.fingerprint,
        "parent": policy.parent,
        "base": policy.base,
        "trained_from": policy.trained_from,
        "model": policy.name,
        "revision": policy.revision,
        "metrics": dict(metrics),
        "scoring": {},
        "audit": {},
        "filtering": {},
        "training": {},
        "sentinels": [],
        "cost": {},
        "parameters": plain(parameters),
        "decided_by": plain(decided_by),
        "versions": versions(),
        "git_commit": git_commit(),
        "questions_digest": questions_summary["questions_digest"],
        "opinions": opinions(questions_summary["by_reward"], parameters.scoring.options),
    }


def summarise_training(training_set: ShardedTable, gate: Table, log: Table) -> dict[str, Any]:
    """Return the size and the end of a training, and what was checked before it.

    `best_step` is the optimizer step whose weights are the policy: the first with the best validation reward, or the
    last where that was not measured.
    """
    measured = log.dropna(subset=["validation_reward"])
    rewards = measured["validation_reward"].tolist()
    best = rewards.index(max(rewards)) if rewards else None
    return {
        "n_examples": len(training_set),
        "n_steps": int(log["step"].max()),
        "final_loss": float(log["loss"].iloc[-1]),
        "best_step": int(log["step"].max() if best is None else measured["step"].iloc[best]),
        "validation_reward": None if best is None else float(rewards[best]),
        "gate": gate.to_dict("records"),
        "training_set_digest": fingerprint(training_set[["question_id", "sample_index"]].to_numpy().tolist()),
    }

"""The record of an iteration: one JSON object from which reports, MLflow and the next iteration know it.

It is the last thing that an iteration writes; an iteration without a record is not complete.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from restem.errors import ExperimentError
from restem.policies.policy import Policy
from restem.rewards import opinions
from restem.store.fingerprints import fingerprint
from restem.store.provenance import git_commit, versions
from restem.store.tables import ShardedTable, Table

FORMAT = 2  # of records; 1 had neither audit nor sentinels nor cost


def make_record(
    policy: Policy,
    questions_summary: Mapping[str, Any],
    metrics: Mapping[str, Any],
    parameters: Mapping[str, Any],
    *,
    determined_by: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the record of an evaluated policy.

    Args:
        policy: That was evaluated.
        questions_summary: Of the experiment.
        metrics: By suite.
        parameters: All of them, as they were asked for.
        determined_by: What decides over iterations, as it became on this machine; see restem.configuration.consistency.
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
        "determined_by": plain(determined_by),
        "versions": versions(),
        "git_commit": git_commit(),
        "questions_digest": questions_summary["questions_digest"],
        "opinions": opinions(questions_summary["by_reward"], plain(parameters["scoring"])["options"]),
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


def record_id(record: Mapping[str, Any]) -> str:
    """Return the name of what a record says about its policy; who made it, when and with what versions is left out."""
    kept = ("iteration", "policy", "parent", "base", "questions_digest", "metrics", "scoring", "filtering", "training")
    return fingerprint({key: record[key] for key in kept})


def stale_iterations(records: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Return the iterations that do not follow from the ones before them as these are now.

    Args:
        records: By iteration, from 0, without gaps.
    """
    stale: list[int] = []
    for i in sorted(records)[1:]:
        follows = records[i]["parent"] == records[i - 1]["policy"] and records[i]["base"] == records[0]["base"]
        if stale or not follows:
            stale.append(i)
    return stale


def refuse_later_format(record: Mapping[str, Any]) -> None:
    """Raise if a later restem wrote the record: what it says might mean something else by now.

    Raises:
        ExperimentError: With both formats.
    """
    found = record.get("format", 1)
    if found > FORMAT:
        raise ExperimentError(
            f"the record of iteration {record['iteration']} has format {found}, and this version of restem reads up to "
            f"{FORMAT}: a later one wrote it. Use that one, or another experiment: --params=experiment=NAME"
        )


def plain(value: Any) -> Any:
    """Return the value with dataclasses as dicts, fit for JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level of dotted names; lists as JSON."""
    items: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            items |= flat(item, f"{prefix}{key}.")
        else:
            items[f"{prefix}{key}"] = json.dumps(item) if isinstance(item, (list, dict)) else item
    return items

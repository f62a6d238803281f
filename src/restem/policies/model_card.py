"""A policy folder for others: the model, a card for people and a manifest for programs."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restem.errors import PolicyError
from restem.policies.folder import saving
from restem.policies.policy import Policy
from restem.schemas import FROM_FILE
from restem.store.fingerprints import CARD, EXPORT_MANIFEST, NOT_THE_MODEL, folder_fingerprint
from restem.store.partials import partial_of, remove, remove_partials

_FRONT_MATTER = (
    "---",
    "library_name: transformers",
    "pipeline_tag: text-generation",
    "tags: [restem, self-training]",
    "---",
)


def export_policy(policy: Policy, record: Mapping[str, Any], *, experiment: str, output: Path) -> Path:
    """Return a new folder with the policy, its card and its manifest; it appears whole or not at all.

    Args:
        policy: To copy.
        record: Of the iteration that made it.
        experiment: Its name.
        output: The folder; must not exist.

    Raises:
        PolicyError: If the policy's files are not those that were recorded, or the folder exists.
        TrainingError: If the folder cannot be written.
    """
    policy.refuse_if_deleted()
    if output.exists():
        raise PolicyError(f"{output} exists; name a folder that does not")
    if folder_fingerprint(policy.folder) != policy.fingerprint or record["policy"] != policy.fingerprint:
        raise PolicyError(
            f"{policy.folder} does not hold the policy {record['policy']} of iteration {record['iteration']} any more; "
            "run that iteration again"
        )
    files = [file for file in policy.folder.rglob("*") if file.is_file() and file.name not in NOT_THE_MODEL]
    remove_partials(output, dead_only=True)
    partial = partial_of(output)
    try:
        with saving(output, n_bytes=sum(file.stat().st_size for file in files)):
            for file in files:
                _copy(file, partial / file.relative_to(policy.folder), policy)
            if folder_fingerprint(partial) != policy.fingerprint:
                raise PolicyError(f"{policy.folder} changed while it was copied; nothing was exported")
            manifest = {"experiment": experiment, "trained_from": policy.trained_from, **record}
            (partial / EXPORT_MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
            (partial / CARD).write_text(model_card(policy, record, experiment=experiment), encoding="utf-8")
            partial.rename(output)
    finally:
        remove(partial)
    return output


def _copy(file: Path, target: Path, policy: Policy) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, target)
    except FileNotFoundError as error:
        raise PolicyError(
            f"{file} was deleted while policy {policy.fingerprint} was exported, as a run does with em.keep_policies: "
            "export one of the policies that it keeps"
        ) from error


def model_card(policy: Policy, record: Mapping[str, Any], *, experiment: str) -> str:
    """Return the card of a policy as Markdown, with the front matter that model hubs read."""
    measured = [
        f"| {name} | {number['value']:.3f} | {number['low']:.3f} to {number['high']:.3f} | {number['n']} |"
        for name, number in record["metrics"].items()
    ]
    opinions = [f"No check but an opinion: the reward {name} is {whose}." for name, whose in record["opinions"].items()]
    made = [f"| {name} | {value} |" for name, value in record["training"].items() if name != "gate"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()))
    lines = [
        *_FRONT_MATTER,
        "",
        f"# {experiment}: iteration {policy.iteration}",
        "",
        f"`{policy.name}`, {_origin(policy, record)}",
        *opinions,
        f"What the base model's licence asks holds for this one too. How it was made: {EXPORT_MANIFEST}.",
        "",
        "## Measured",
        "",
        "Numbers are means over n questions with 95 % intervals; names are suite/metric.",
        "",
        "| metric | value | interval | n |",
        "|---|---|---|---|",
        *measured,
        "",
        "## Made",
        "",
        "| | |",
        "|---|---|",
        *_identities(policy, record),
        *made,
        "",
        f"Versions: {versions}.",
        "",
    ]
    return "\n".join(lines)


def _origin(policy: Policy, record: Mapping[str, Any]) -> str:
    if policy.iteration == 0:
        return "as it came: the base policy of the experiment."
    whose = "solutions from files" if _is_from_files(record) else "its own solutions"
    return (
        f"after {policy.iteration} iteration(s) of self-training with ReST^EM (Singh et al. 2023, "
        f"https://arxiv.org/abs/2312.06585): fine-tuned on {whose} that a reward found correct."
    )


def _is_from_files(record: Mapping[str, Any]) -> bool:
    return bool(record["parameters"]["sampling"]["engine"] == FROM_FILE)


def _identities(policy: Policy, record: Mapping[str, Any]) -> list[str]:
    return [
        f"| policy | {policy.fingerprint} |",
        f"| sampled from | {'files' if _is_from_files(record) else policy.parent or '-'} |",
        f"| trained from | {policy.trained_from or '-'} |",
        f"| base policy | {policy.base} |",
        f"| questions | {record['questions_digest']} |",
    ]

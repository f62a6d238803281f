"""Records of iterations as they are read: their format, their name, and whether one follows from another."""

from collections.abc import Mapping
from typing import Any

from restem import suggestions
from restem.errors import ExperimentError
from restem.store.fingerprints import fingerprint

FORMAT = 2  # of records; 1 had neither audit nor sentinels nor cost


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
    number = record.get("format", 1)
    if number > FORMAT:
        raise ExperimentError(
            f"the record of iteration {record['iteration']} has format {number}, and this version of restem reads up "
            f"to {FORMAT}: a later one wrote it. Use that one, or another experiment: "
            f"{suggestions.new_experiment()}"
        )

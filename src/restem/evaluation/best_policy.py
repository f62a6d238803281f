"""Which iteration to keep: the one that does best on validation questions. Test questions only say how good it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from restem.evaluation.intervals import in_text
from restem.evaluation.sentinels import SHOWN
from restem.store.records import stale_iterations

_CHOSEN_BY = "validation/pass_at_1"


class Recommendation(NamedTuple):
    """An iteration, and why it is the one to keep."""

    iteration: int
    reason: str


def recommend(records: Mapping[int, Mapping[str, Any]]) -> Recommendation:
    """Return the iteration whose policy to keep; 0 is the base policy.

    It is the first of those with the best sampled pass@1 on validation questions, the number with the least chance
    in it. Stale iterations do not count.

    Args:
        records: By iteration, from 0, without gaps.
    """
    best = best_measured(records)
    if best is None:
        last = max(set(records) - set(stale_iterations(records)))
        return Recommendation(last, "it is the last one: there are no validation questions to choose by")
    number = records[best]["metrics"][_CHOSEN_BY]
    measured = in_text(number["value"], number["low"], number["high"])
    reason = f"its pass@1 on the {number['n']} validation questions is the best: {measured}"
    troubles = [row["sentinel"] for row in records[best].get("sentinels", ()) if row["sign"] == SHOWN]
    if troubles:
        reason += f"; but it shows {' and '.join(troubles)}"
    return Recommendation(best, reason.replace("_", " "))


def best_measured(records: Mapping[int, Mapping[str, Any]]) -> int | None:
    """Return the first iteration with the best number to choose by; None if none has it. Stale ones do not count."""
    stale = set(stale_iterations(records))
    values = {
        i: record["metrics"][_CHOSEN_BY]["value"]
        for i, record in sorted(records.items())
        if i not in stale and _CHOSEN_BY in record["metrics"]
    }
    return max(values, key=lambda i: values[i], default=None)

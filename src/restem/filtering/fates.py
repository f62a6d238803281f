"""What became of every scored sample: learned from, or why not. It adds up to `filtering_summary`."""

from restem.filtering.selection import acceptable, distinct, rewarded
from restem.parameters import FilteringParameters
from restem.store.tables import Table

KEPT = "kept"
NOT_LEARNED_FROM = "not_learned_from"  # filtering.learn_from names no samples of the iteration
_SAMPLE = ["policy_id", "question_id", "sample_index"]


def fates(scored: Table, training_set: Table, *, parameters: FilteringParameters) -> "Table":
    """Return the scored samples with their `fate`: kept, or why it was dropped, a key of `selection.DROPPED`.

    Args:
        scored: All samples of whole questions.
        training_set: The training rows of these questions.
        parameters: `filtering`, as it was for the iteration: see `at_iteration`.
    """
    import pandas as pd

    rows = scored.reset_index(drop=True)
    fate = pd.Series("below_min_reward", index=rows.index, dtype=object)
    fate[rewarded(rows, parameters).index] = "truncated"
    whole = acceptable(rows, parameters).sort_values(["question_id", "sample_index"], kind="stable")
    fate[whole.index] = "repeated"
    other = "over_cap" if "samples" in parameters.learn_from else NOT_LEARNED_FROM
    fate[(distinct(whole, parameters) if parameters.distinct else whole).index] = other
    learned = pd.MultiIndex.from_frame(training_set.reindex(columns=_SAMPLE))
    fate[pd.MultiIndex.from_frame(rows[_SAMPLE]).isin(learned)] = KEPT
    return rows.assign(fate=fate)

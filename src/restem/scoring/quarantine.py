"""Questions that could never be judged rightly are set aside before anything is sampled."""

from collections import Counter
from functools import partial
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import ScoringParameters
from restem.questions import suite_of
from restem.questions.exemplars import EXEMPLARS_FILE
from restem.rewards import check_golds
from restem.scoring.verdicts import open_reward, refuse_unpaid_opinions
from restem.store.fingerprints import fingerprint
from restem.store.tables import Table


def quarantine_questions(questions: Table, *, parameters: ScoringParameters) -> tuple[Table, Table]:
    """Return the questions that can be trusted, and a table of the others with `reason`.

    A question is trusted if its gold earns 1 and a corrupted gold earns 0.

    Raises:
        BudgetError: If golds are to be shown to a server, and what the experiment may take is spent.
        QuestionsError: If nothing is left to train on or to test with, or of a transfer suite.
    """
    # An exemplar from a file has a solution to show and no answer that could be judged.
    judged = questions[(questions["split"] != "exemplar") | (questions["source"] != EXEMPLARS_FILE)]
    refuse_unpaid_opinions(judged["reward"], parameters)
    faulty = check_golds(judged, open_reward=partial(open_reward, parameters=parameters))
    return _separate(questions, dict(zip(faulty["question_id"], faulty["reason"], strict=True)))


def quarantine_unasked(questions: Table, quarantined: Table, prompts: Table) -> tuple[Table, Table]:
    """Return the questions that have a prompt, and all that are quarantined: those before, and those without one.

    Args:
        questions: That can be judged.
        quarantined: That cannot.
        prompts: The prompts that the policy can read.

    Raises:
        QuestionsError: If nothing is left to train on or to test with.
    """
    import pandas as pd

    is_asked = questions["question_id"].isin(prompts["question_id"]) | (questions["split"] == "exemplar")
    reason = "its prompt fills the policy's context window"
    readable, unreadable = _separate(questions, dict.fromkeys(questions.loc[~is_asked, "question_id"], reason))
    return readable, pd.concat([quarantined, unreadable], ignore_index=True)


def _separate(questions: Table, reasons: dict[str, str]) -> tuple[Table, Table]:
    """Return the questions without a reason to leave them out, and the others with theirs."""
    import pandas as pd

    bad = questions["question_id"].isin(reasons)
    good = questions[~bad].reset_index(drop=True)
    lost = {"train", "test"} - set(good["split"])
    if lost:
        example, reason = next(iter(reasons.items()))
        raise QuestionsError(
            f"all questions of split {' and '.join(sorted(lost))} are quarantined, as {example}: {reason}"
        )
    suites = {suite_of(source) for source in questions.loc[questions["split"] == "transfer", "source"]}
    left = {suite_of(source) for source in good.loc[good["split"] == "transfer", "source"]}
    for suite in sorted(suites - left):
        raise QuestionsError(
            f"all questions of the transfer suite {suite} are quarantined, as "
            f"{_first_of(suite, questions[bad], reasons)}; mend them, or leave the suite out with "
            f"questions.transfer.{suite}=null"
        )
    quarantined = questions[bad].reset_index(drop=True)
    why = pd.Series([reasons[name] for name in quarantined["question_id"]], dtype=str)
    return good, quarantined.assign(reason=why)


def _first_of(suite: str, quarantined: Table, reasons: dict[str, str]) -> str:
    of_suite = quarantined[quarantined["source"].map(suite_of) == suite]
    name = of_suite["question_id"].iloc[0]
    return f"{name}: {reasons[name]}"


def summarise_questions(questions: Table, quarantined: Table, near_duplicates: Table, prompts: Table) -> dict[str, Any]:
    """Return the number of questions by split, level and source, what was quarantined and why, and a digest.

    `n_near_duplicates` training questions were found among what is evaluated; `n_near_duplicates_kept` still are.
    """
    return {
        "n_questions": len(questions),
        "questions_digest": _digest(questions, prompts),
        "by_split": _counts(questions["split"]),
        "by_level": _counts(questions["level"]),
        "by_source": _counts(questions["source"]),
        "by_reward": _counts(questions["reward"]),
        "n_quarantined": len(quarantined),
        "quarantined": _counts(quarantined["reason"]),
        "n_near_duplicates": len(near_duplicates),
        "n_near_duplicates_kept": int(questions["question_id"].isin(near_duplicates["question_id"]).sum()),
    }


def _digest(questions: Table, prompts: Table) -> str:
    """Return the name of all that is asked: an experiment with another one must start again."""
    rows = questions[["question_id", "split", "gold", "reward"]].sort_values("question_id")
    return fingerprint([rows.to_numpy().tolist(), sorted(prompts["prompt_id"])])


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))

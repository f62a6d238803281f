"""What is tried before sampling: a reward that refuses the gold, or takes a wrong answer, teaches nothing true."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from restem.rewards.loading import load_reward
from restem.rewards.scoring import Reward
from restem.rewards.trial import faults_of_own, own_judge
from restem.rewards.verdicts import Question, Verdict, gold_of
from restem.schemas import CORRECT
from restem.store.tables import Table

COLUMNS = ["question_id", "reward", "reason"]


def check_golds(
    questions: Table | Sequence[Question],
    *,
    open_reward: Callable[[str], Reward] = load_reward,
) -> Table:
    """Return the questions that must not be scored: columns question_id, reward (its name) and reason, why.

    Every question's gold, rendered as a completion, must earn 1, and a corrupted answer must earn 0. Of a reward that
    is made of others this holds for every part, and the gold must earn 1 from all together. A reward that cannot render
    its gold, as a pattern, is not tried. A function of the user's own is, see `restem.rewards.trial`.

    Args:
        questions: A table, or dicts, with the columns of `questions`.
        open_reward: From the name of a reward to the reward with its options.
    """
    import pandas as pd

    rows: list[Any] = questions.to_dict("records") if isinstance(questions, pd.DataFrame) else list(questions)
    found: list[tuple[str, str, str]] = []
    for name in dict.fromkeys(str(row["reward"]) for row in rows):
        of_reward = [row for row in rows if row["reward"] == name]
        found.extend(_faults(open_reward(name), of_reward))
    return pd.DataFrame(found, columns=COLUMNS).drop_duplicates("question_id", ignore_index=True)


def _faults(reward: Reward, questions: Sequence[Question]) -> Iterable[tuple[str, str, str]]:
    for label, part in reward.parts.items():
        for question_id, _, of_part in _faults(part, questions):
            yield question_id, reward.name, f"{label}: {of_part}"
    if own_judge(reward) is not None:
        for index, why in faults_of_own(reward, questions):
            yield str(questions[index]["question_id"]), reward.name, why
    right = [reward.gold_completion(question) for question in questions]
    wrong = [reward.wrong_completion(question) for question in questions]
    of_gold = _scored(reward, questions, right)
    of_wrong = _scored(reward, questions, wrong)
    for index, question in enumerate(questions):
        fault: str | None = None
        if reward.needs_gold and gold_of(question) is None:
            fault = "its gold is not a JSON object"
        elif (verdict := of_gold.get(index)) is not None and verdict.reward < CORRECT:
            fault = f"its own gold earns {verdict.reward:g}: {verdict.reason}"
        elif (verdict := of_wrong.get(index)) is not None and verdict.reward != 0.0:
            fault = f"the wrong answer {wrong[index]!r} earns {verdict.reward:g}"
        if fault is not None:
            yield str(question["question_id"]), reward.name, fault


def _scored(reward: Reward, questions: Sequence[Question], completions: Sequence[str | None]) -> dict[int, Verdict]:
    known = {index: text for index, text in enumerate(completions) if text is not None}
    verdicts = reward.score([questions[index] for index in known], list(known.values()))
    return dict(zip(known, verdicts, strict=True))

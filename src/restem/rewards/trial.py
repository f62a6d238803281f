"""A reward of the user's own, tried before anything is sampled: what is wrong with it would stop the run hours later.

The gold is shown to it in every form that completions usually have. A function that accepts other completions says so:
`my_reward.accepts = "One half, please."`, or a function from a question to such a completion.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from restem.errors import RewardError
from restem.rewards.extraction import FORMS
from restem.rewards.own import OwnJudge
from restem.rewards.verdicts import Question, gold_of
from restem.schemas import CORRECT

if TYPE_CHECKING:
    from restem.rewards.scoring import Reward

_TRIED = 8  # questions, to find the form that it accepts
_SAID, _HASHES, _TAG = (FORMS[way] for way in ("answer_is", "hashes", "tag"))
_FORMS = ("{answer}", _HASHES, r"\boxed{{answer}}", _SAID, f"{_SAID}.", _TAG)
_ODD = ("", " ", "\n", "I do not know.", "\u0968 \u2248 \x00 \U0001f600")  # a policy may say anything


def own_judge(reward: "Reward") -> OwnJudge | None:
    """Return the judge of a reward that is a function of the user's own."""
    judge = getattr(reward, "judge", None)
    return judge if isinstance(judge, OwnJudge) else None


def faults_of_own(reward: "Reward", questions: Sequence[Question]) -> Iterator[tuple[int, str]]:
    """Yield the questions, by position, that such a reward can never be earned with, and why.

    Raises:
        RewardError: If it raises, hangs, gives no number from 0 to 1, or gives 1 to no gold in any form.
    """
    tried: dict[str, str] = {}
    earned: dict[str, None] = {}  # forms, in their order
    for question in questions[:_TRIED]:
        completions = _completions(reward, question)
        tried = {**completions, **tried}
        earned |= dict.fromkeys(form for form, number in _rewards(reward, question, completions) if number == CORRECT)
    if tried and not earned:
        name = reward.name.rpartition(":")[2]
        raise RewardError(
            f"the reward {reward.name} gave 1 to no completion that says what is right, such as "
            f"{next(iter(tried.values()))!r}: nothing could be learned. If it accepts others, say one in the gold, as "
            f'its `solution`, or below the function: {name}.accepts = "..."'
        )
    left = list(range(len(questions)))
    for form in earned:
        texts = {index: _completions(reward, questions[index]).get(form) for index in left}
        shown = {index: text for index, text in texts.items() if text is not None}
        verdicts = reward.score([questions[index] for index in shown], list(shown.values()))
        right = {index for index, verdict in zip(shown, verdicts, strict=True) if verdict.reward == CORRECT}
        left = [index for index in left if index not in right]
    for index in left:
        yield index, f"{reward.name} gives its own gold less than 1 in every form"


def _rewards(reward: "Reward", question: Question, completions: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    shown = {**completions, **{f"odd {number}": text for number, text in enumerate(_ODD)}}
    for form, text in shown.items():  # one at a time: of a function that hangs, the first is enough
        (verdict,) = reward.score([question], [text])
        if verdict.reason in {"timeout", "crashed"} and verdict.reward == 0.0:
            found = "was not done within scoring.timeout_s" if verdict.reason == "timeout" else "crashed"
            raise RewardError(
                f"the reward {reward.name} {found} with question {question.get('question_id')!r} and the "
                f"completion {text!r}, and must have a number for every completion"
            )
        if form in completions:
            yield form, verdict.reward


def _completions(reward: "Reward", question: Question) -> dict[str, str]:
    """Return completions that say what is right, by what they look like."""
    gold: Mapping[str, Any] = gold_of(question) or {}
    judge = own_judge(reward)
    accepts = getattr(judge.function, "accepts", None) if judge else None
    if accepts is not None:
        return {"accepts": str(accepts(dict(question)) if callable(accepts) else accepts)}
    said = [str(gold[name]) for name in ("solution", "answer", "tests") if gold.get(name) is not None]
    found = {f"{number} {form}": form.replace("{answer}", text) for number, text in enumerate(said) for form in _FORMS}
    return found or {"text": str(question.get("text", ""))}

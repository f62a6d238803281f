"""The answer that most of a question's own samples give, in the place of a gold: for questions that have none.

There is no ground truth in it: a policy that is wrong in the same way most of the time is taught to be so always, and
every report says that. It is refused for whatever is evaluated.

Source: as the label of self-training, Huang et al. 2022, https://arxiv.org/abs/2210.11610. That ties and answers of a
single sample give no label, and that all spellings of the answer must equal one another, are ours.

Options:

- of: the reward that finds answers and compares them, "math" (default) or "exact"; all other options are its own.
- min_share (0): the share of a question's samples that must agree, those without an answer counted too.

Samples of a question must be judged together; a question without a label is `unparseable_gold`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.rewards.scoring import Reward, SingleReward, code_digest
from restem.rewards.verdicts import Answer, Question, Verdict, correct, refused
from restem.schemas import MAJORITY
from restem.store.fingerprints import fingerprint

OPINION = "the answer that most samples of a question agree on, without any ground truth"
COMPARING = ("math", "exact")  # rewards whose gold is an answer alone
_FEWEST = 2  # samples that agree


class MajorityReward(Reward):
    """A reward that takes its golds from the samples that it judges."""

    def __init__(self, inner: SingleReward, min_share: float) -> None:
        """Take the reward that finds and compares answers."""
        self.name, self.needs_gold = MAJORITY, False
        self.opinion: str | None = OPINION
        self.parts: Mapping[str, Reward] = {}
        self._inner, self._min_share = inner, min_share
        decides = {"of": inner.version, "min_share": min_share, "code": code_digest([Path(__file__)])}
        self.version = f"{MAJORITY}-{fingerprint(decides)}"

    def score(self, questions: Sequence[Question], completions: Sequence[str]) -> list[Verdict]:
        """Return one verdict per completion, in order; those of a question decide over each other."""
        if len(questions) != len(completions):
            raise RewardError(f"as many questions as completions, got {len(questions)} and {len(completions)}")
        found = [_vote(self._inner, question, text) for question, text in zip(questions, completions, strict=True)]
        of_question: dict[str, list[int]] = {}
        for row, question in enumerate(questions):
            of_question.setdefault(str(question.get("question_id", question.get("text", ""))), []).append(row)
        polls = [_Poll([found[row] for row in rows], self._min_share) for rows in of_question.values()]
        self._count(polls)
        verdicts: list[Verdict] = [refused("no_answer", None)] * len(found)
        for poll, rows in zip(polls, of_question.values(), strict=True):
            for row, verdict in zip(rows, poll.verdicts(), strict=True):
                verdicts[row] = verdict
        return verdicts

    def _count(self, polls: Sequence["_Poll"]) -> None:
        """Compare the answers of all questions, as many at once as do not depend on each other."""
        while asked := [(poll, pair) for poll in polls for pair in poll.next_pairs()]:
            same = self._inner.compare([pair for _, pair in asked])
            for (poll, pair), is_same in zip(asked, same, strict=True):
                poll.known[pair] = is_same

    def gold_completion(self, question: Question) -> str | None:
        """Return None: there is no gold."""
        return None

    def wrong_completion(self, question: Question) -> str | None:
        """Return None."""
        return None

    def form_of(self, question: Question) -> str:
        """Return nothing: a label is known only where it is judged."""
        return ""

    def close(self) -> None:
        """Close the reward that compares."""
        self._inner.close()


def _vote(inner: SingleReward, question: Question, completion: str) -> Answer | Verdict:
    """Return what a completion votes for.

    Without a gold it is not known whether an answer is in words: "I do not know" must not become a label for being
    said often. So `math` takes words only where they are marked as the answer.
    """
    found = inner.answer_of({**question, "gold": {}}, completion)
    is_talk = inner.name == "math" and isinstance(found, Answer) and found.found_by in {"whole", "bare"}
    if is_talk and isinstance(found, Answer) and not any(character.isdigit() for character in found.text):
        return refused("no_answer", None)
    return found


class _Pair(NamedTuple):
    """Two answers, the first of them in the place of the gold."""

    gold: str
    answer: str


class _Poll:
    """The answers to one question."""

    def __init__(self, found: Sequence[Answer | Verdict], min_share: float) -> None:
        self.known: dict[_Pair, bool] = {}
        self._found = found
        self._needed = max(_FEWEST, min_share * len(found))
        self._counts = Counter(one.text for one in found if isinstance(one, Answer))
        self._order = [text for text, _ in self._counts.most_common()]  # of equally many, the first that was given

    def next_pairs(self) -> list[_Pair]:
        """Return what must be compared before anything else can be said; nothing once it is settled."""
        left = self._order
        while left:
            wanted = [_Pair(left[0], text) for text in left]
            missing = [pair for pair in wanted if pair not in self.known]
            if missing:
                return missing
            left = [text for text in left if text != left[0] and not self.known[_Pair(left[0], text)]]
        group = self._groups()[0] if self._order else []
        pairs = [_Pair(one, other) for one in group for other in group]
        return [pair for pair in pairs if pair not in self.known]

    def _groups(self) -> list[list[str]]:
        """Return the answers in groups of what equals the most frequent of each, the largest group first."""
        left, groups = self._order, []
        while left:
            first = left[0]
            if self.known[_Pair(first, first)]:  # else it can be nothing's gold
                groups.append([text for text in left if self.known[_Pair(first, text)]])
            left = [text for text in left if text != first and not self.known[_Pair(first, text)]]
        return sorted(groups, key=lambda group: -self._size(group)) or [[]]

    def _size(self, group: Sequence[str]) -> int:
        return sum(self._counts[text] for text in group)

    def _label(self) -> list[str]:
        """Return the spellings of the majority's answer; none if there is no majority."""
        group, *others = self._groups()
        label: list[str] = []
        for text in group:  # 10 cm and 10 m both equal 10, and one of them only can be meant
            if all(self.known[_Pair(text, one)] and self.known[_Pair(one, text)] for one in label):
                label.append(text)
        runner_up = max(map(self._size, others), default=0)
        return label if self._size(label) >= self._needed and self._size(label) > runner_up else []

    def verdicts(self) -> list[Verdict]:
        """Return a verdict per sample."""
        label = self._label()
        return [one if isinstance(one, Verdict) else _verdict(one, label) for one in self._found]


def _verdict(answer: Answer, label: Sequence[str]) -> Verdict:
    if not label:
        return refused("unparseable_gold", answer.text)._replace(found_by=answer.found_by)
    verdict = correct(answer.text) if answer.text in label else refused("wrong", answer.text)
    return verdict._replace(found_by=answer.found_by)


def checked_options(options: Mapping[str, Any]) -> tuple[str, float, dict[str, Any]]:
    """Return the reward that compares, the share that must agree, and that reward's options.

    Raises:
        RewardError: If they are none.
    """
    own = dict(options)
    of, min_share = own.pop("of", COMPARING[0]), own.pop("min_share", 0.0)
    if of not in COMPARING:
        raise RewardError(f"{MAJORITY}.of must be one of {', '.join(COMPARING)}, got {of!r}")
    if isinstance(min_share, bool) or not isinstance(min_share, (int, float)) or not 0.0 <= min_share <= 1.0:
        raise RewardError(f"{MAJORITY}.min_share must be in [0, 1], got {min_share!r}")
    return of, float(min_share), own

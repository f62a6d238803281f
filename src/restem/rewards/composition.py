"""Rewards made of others.

- all_of: {rewards: {math: {}, format: {form: boxed}}}: the least of their rewards. They are asked in this order, and
  what one gives nothing is not shown to the next: put what is quick first.
- weighted: {rewards: {math: {}, format: {form: boxed}}, weights: {math: 0.9, format: 0.1}}: the weighted sum.

Each part has its options under its name, and may itself be made of parts. A verdict is correct if every part finds the
completion correct; otherwise it gives the reason of the first that does not. Its answer is that of the first part that
looks for one.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restem.errors import RewardError
from restem.rewards.format import FormatJudge
from restem.rewards.scoring import Reward, SingleReward, code_digest
from restem.rewards.verdicts import Question, Verdict, gold_of, refused
from restem.schemas import CORRECT
from restem.store.fingerprints import fingerprint

_WEIGHTS_ADD_UP = 1e-9  # to one, but for this
_SHOWN_DIGITS = 12  # of a weighted sum


class ComposedReward(Reward):
    """Several rewards that count together."""

    def __init__(self, name: str, parts: Mapping[str, Reward], weights: Mapping[str, float] | None) -> None:
        """Compose rewards; without weights, the least reward counts."""
        self.name = name
        self.parts: Mapping[str, Reward] = dict(parts)
        self.needs_gold = any(part.needs_gold for part in parts.values())
        self.opinion = "; ".join(filter(None, (part.opinion for part in parts.values()))) or None
        self._weights = weights
        decides = {
            "parts": {label: part.version for label, part in self.parts.items()},
            "order": list(self.parts),
            "weights": dict(weights or {}),
            "code": code_digest([Path(__file__)]),
        }
        self.version = f"{name}-{fingerprint(decides)}"

    def score(self, questions: Sequence[Question], completions: Sequence[str]) -> list[Verdict]:
        """Return one verdict per completion, in order."""
        if len(questions) != len(completions):
            raise RewardError(f"as many questions as completions, got {len(questions)} and {len(completions)}")
        found: list[dict[str, Verdict]] = [{} for _ in questions]
        for label, part in self.parts.items():
            left = [index for index, verdicts in enumerate(found) if self._weights or _may_earn(verdicts)]
            verdicts = part.score([questions[index] for index in left], [completions[index] for index in left])
            for index, verdict in zip(left, verdicts, strict=True):
                found[index][label] = verdict
        return [self._together(verdicts) for verdicts in found]

    def _together(self, verdicts: Mapping[str, Verdict]) -> Verdict:
        if self._weights:
            total = math.fsum(self._weights[label] * verdict.reward for label, verdict in verdicts.items())
            reward = min(1.0, round(total, _SHOWN_DIGITS))
        else:
            reward = min(verdict.reward for verdict in verdicts.values())
        lacking = [verdict for verdict in verdicts.values() if verdict.reward < CORRECT]
        answering = [one for label, one in verdicts.items() if not _is_format(self.parts[label])]
        shown = next((verdict for verdict in answering if verdict.answer is not None), refused("", None))
        return Verdict(
            # A sum that falls short of one by rounding is one; one that a part falls short of is none.
            reward if lacking else CORRECT,
            lacking[0].reason if lacking else "correct",
            shown.answer,
            math.fsum(verdict.seconds for verdict in verdicts.values()),
            shown.found_by,
        )

    def gold_completion(self, question: Question) -> str | None:
        """Return what the first part that can makes of the gold, brought into every form that is asked for."""
        gold = gold_of(question) or {}
        others = (part.gold_completion(question) for part in self.parts.values() if not _is_format(part))
        text = next((text for text in others if text is not None), None)
        if text is None and not all(map(_is_format, self.parts.values())):
            return None
        for part in self.parts.values():
            if isinstance(part, SingleReward) and isinstance(part.judge, FormatJudge):
                text = part.judge.completed(text or "", gold)
        return text

    def wrong_completion(self, question: Question) -> str | None:
        """Return None: what each part must refuse is tried with that part alone."""
        return None

    def form_of(self, question: Question) -> str:
        """Return the form of the first part that has any."""
        return next(filter(None, (part.form_of(question) for part in self.parts.values())), "")

    def close(self) -> None:
        """Close all parts."""
        for part in self.parts.values():
            part.close()


def checked_parts(name: str, rewards: Any) -> dict[str, dict[str, Any]]:
    """Return the options of every part, by its name.

    Raises:
        RewardError: If they are not a mapping of rewards to their options, or contain themselves.
    """
    if not isinstance(rewards, Mapping) or not rewards:
        raise RewardError(
            f"the reward {name!r} needs rewards, a mapping of names to options like "
            f"{{math: {{}}, format: {{form: boxed}}}}, got {rewards!r}"
        )
    _refuse_cycles(name, rewards, ())
    for label, options in rewards.items():
        if options is not None and not isinstance(options, Mapping):
            raise RewardError(f"{name}.rewards.{label} must be a mapping of options, got {options!r}")
    return {str(label): dict(options or {}) for label, options in rewards.items()}


def checked_weights(name: str, weights: Any, parts: Mapping[str, Any]) -> dict[str, float]:
    """Return the weight of every part.

    Raises:
        RewardError: If a part has none, or they are not above 0, or do not sum to 1.
    """
    if not isinstance(weights, Mapping) or set(weights) != set(parts):
        raise RewardError(f"{name}.weights must give every one of {', '.join(parts)} a weight, got {weights!r}")
    numbers = [weight for weight in weights.values() if isinstance(weight, (int, float)) and weight > 0]
    if len(numbers) != len(weights) or abs(math.fsum(numbers) - 1.0) > _WEIGHTS_ADD_UP:
        raise RewardError(f"{name}.weights must be above 0 and sum to 1, got {dict(weights)}")
    return {str(label): float(weight) for label, weight in weights.items()}


def _refuse_cycles(name: str, options: Any, above: tuple[int, ...]) -> None:
    """Refuse options that contain themselves, as YAML's anchors allow."""
    if id(options) in above:
        raise RewardError(f"the reward {name!r} contains itself")
    if isinstance(options, Mapping):
        for inner in options.values():
            _refuse_cycles(name, inner, (*above, id(options)))


def _may_earn(verdicts: Mapping[str, Verdict]) -> bool:
    return all(verdict.reward > 0.0 for verdict in verdicts.values())


def _is_format(part: Reward) -> bool:
    return isinstance(part, SingleReward) and isinstance(part.judge, FormatJudge)

"""What equals what, form by form, through the reward itself: pairs made by hand, and pairs that are drawn."""

import random
from collections.abc import Iterator

import pytest
from math_drawn import FORMS
from math_pairs import PAIRS

from restem.rewards import Verdict, load_reward
from restem.rewards.scoring import Reward

DRAWS = 6  # golds per form


@pytest.fixture(scope="module")
def reward() -> Iterator[Reward]:
    with load_reward("math", timeout_s=30) as opened:  # the machine may be busy
        yield opened


def verdicts(reward: Reward, pairs: list[tuple[str, str]]) -> list[Verdict]:
    return reward.score([{"gold": {"answer": gold}} for gold, _ in pairs], [completion for _, completion in pairs])


@pytest.mark.parametrize("form", PAIRS)
def test_right_answers_of_a_form_are_accepted_and_wrong_ones_never(reward: Reward, form: str) -> None:
    right = [(gold, completion) for gold, good, _ in PAIRS[form] for completion in good]
    wrong = [(gold, completion) for gold, _, bad in PAIRS[form] for completion in bad]
    found = verdicts(reward, right + wrong)

    assert (len(right) >= 10, len(wrong) >= 20) == (True, True)
    assert [pair for pair, one in zip(right, found, strict=False) if one.reward != 1.0] == []
    assert [pair for pair, one in zip(wrong, found[len(right) :], strict=True) if one.reward] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_spoilt_answer_never_earns_and_another_spelling_always_does(reward: Reward, form: str) -> None:
    draw = random.Random(form)
    drawn = [FORMS[form](draw) for _ in range(DRAWS)]
    same = [(one.gold, completion) for one in drawn for completion in [one.gold, *one.same]]
    spoilt = [(one.gold, completion) for one in drawn for completion in one.spoilt]
    found = verdicts(reward, same + spoilt)

    assert [pair for pair, one in zip(same, found, strict=False) if one.reward != 1.0] == []
    assert [pair for pair, one in zip(spoilt, found[len(same) :], strict=True) if one.reward] == []

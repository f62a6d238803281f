from typing import Any

import pytest

from restem.errors import RewardError
from restem.rewards import load_reward


def test_an_unknown_reward_names_the_known_ones() -> None:
    with pytest.raises(RewardError, match=r"no reward 'maths'; known are all_of, code, exact, format, judge, math, "):
        load_reward("maths")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exact", {"kind": "nmber"}),
        ("exact", {"extract": "middle"}),
        ("exact", {"knd": 1}),
        ("math", {"box": "second"}),
    ],
)
def test_a_wrong_option_is_refused_when_the_reward_is_loaded(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(RewardError, match=next(iter(options))):
        load_reward(name, **options)


def test_a_function_that_is_not_there_is_refused_when_the_reward_is_loaded() -> None:
    with pytest.raises(RewardError, match="cannot be imported"):
        load_reward("own_rewards:nothing")


def test_the_version_follows_the_options() -> None:
    plain, same, other, slow = (
        load_reward("exact", kind=kind, timeout_s=limit).version
        for kind, limit in [("string", 5.0), ("string", 5.0), ("number", 5.0), ("string", 9.0)]
    )

    assert plain == same
    assert len({plain, other, slow}) == 3
    assert plain.startswith("exact-")


def test_a_function_of_ones_own_is_given_the_gold_as_a_dict() -> None:
    with load_reward("own_rewards:exact_text") as reward:
        verdicts = reward.score([{"question_id": "q", "gold": '{"answer": "4"}'}] * 2, ["4", "5"])

    assert [tuple(verdict)[:2] for verdict in verdicts] == [(1.0, "correct"), (0.0, "wrong")]


def test_a_reward_beyond_one_is_a_fault_of_the_reward() -> None:
    with load_reward("own_rewards:too_generous") as reward, pytest.raises(RewardError, match=r"in \[0, 1\], got 2.0"):
        reward.score([{"question_id": "q", "gold": {}}], ["4"])

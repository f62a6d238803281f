"""Say here what your rewards must give. Run it with: pytest."""

from restem.rewards import load_reward

QUESTION = {"question_id": "q1", "text": "What is 600 + 634?", "gold": '{"answer": "1234"}'}
EXPECTED = {
    "1234": 1.0,
    "600 + 634 is 1,234.": 1.0,
    "1234, or rather 1235": 0.0,
    "no idea": 0.0,
    "": 0.0,
}


def test_last_number_is_judged() -> None:
    with load_reward("{{ cookiecutter.python_package }}.rewards:last_number") as reward:
        verdicts = reward.score([QUESTION] * len(EXPECTED), list(EXPECTED))

    assert {text: verdict.reward for text, verdict in zip(EXPECTED, verdicts, strict=True)} == EXPECTED

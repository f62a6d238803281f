import pytest

from restem.errors import PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.sampling.prompts import render_prompts
from tests.builders import questions
from tests.conftest import Logged


def test_few_shot_prompt_shows_solved_exemplars_and_ends_before_the_answer(base: Policy) -> None:
    parameters = PromptParameters(style="few_shot", answer_prefix=" ", separator="\n", instruction="Add.")

    table = render_prompts(questions("exemplar", "train", "test"), base, parameters)

    assert list(table["prompt"]) == ["Add.\n0 + 0 = 0\n1 + 1 = ", "Add.\n0 + 0 = 0\n2 + 2 = "]


def test_exemplars_are_never_asked(base: Policy) -> None:
    table = render_prompts(questions("exemplar", "train"), base, PromptParameters())

    assert list(table["question_id"]) == ["q1"]


def test_zero_shot_shows_no_exemplar(base: Policy) -> None:
    table = render_prompts(questions("exemplar", "train"), base, PromptParameters(style="zero_shot"))

    assert list(table["prompt"]) == ["1 + 1 ="]


def test_braces_in_a_question_stay_as_they_are(base: Policy) -> None:
    asked = questions("train").assign(text=[r"\frac{1}{2} of {question}"])

    table = render_prompts(asked, base, PromptParameters(style="zero_shot", template="Q: {question}"))

    assert table["prompt"][0] == r"Q: \frac{1}{2} of {question}"


def test_few_shot_without_exemplars_is_refused(base: Policy) -> None:
    with pytest.raises(PromptError, match=r"questions\.n_exemplars"):
        render_prompts(questions("train"), base, PromptParameters(style="few_shot"))


def test_chat_without_a_chat_template_is_refused(base: Policy) -> None:
    with pytest.raises(PromptError, match="chat template"):
        render_prompts(questions("train"), base, PromptParameters(style="chat"))


def test_same_text_has_the_same_prompt_id(base: Policy) -> None:
    parameters = PromptParameters(style="zero_shot")

    first = render_prompts(questions("train"), base, parameters)
    changed = render_prompts(questions("train"), base, PromptParameters(style="zero_shot", answer_prefix=" "))

    assert first["prompt_id"][0] != changed["prompt_id"][0]
    assert first["prompt_id"][0] == render_prompts(questions("train"), base, parameters)["prompt_id"][0]


def test_prompt_that_fills_the_context_window_is_left_out_and_named(base: Policy, warned: Logged) -> None:
    asked = questions("train", "test").assign(text=["1 + 1 =", "1" * 600])

    table = render_prompts(asked, base, PromptParameters(style="zero_shot"))

    assert list(table["question_id"]) == ["q0"]
    (record,) = warned
    assert "question q1 has 601 tokens, and the context window of builtin:tiny is 512" in record.getMessage()


def test_prompts_that_all_fill_the_context_window_are_refused(base: Policy) -> None:
    asked = questions("train", "test").assign(text=["1" * 600, "1" * 700])

    with pytest.raises(PromptError, match=r"2 of 2 prompts leave no room .* q1 has 701 tokens.*zero_shot"):
        render_prompts(asked, base, PromptParameters(style="zero_shot"))


def test_transfer_suite_is_asked_in_its_own_words_behind_its_own_exemplars(base: Policy) -> None:
    asked = questions("exemplar", "exemplar", "test", "transfer", "transfer").assign(
        source=["sums", "other/a", "sums", "other/a", "third"]
    )
    other = PromptParameters(style="few_shot", answer_prefix=" ", separator="\n")
    third = PromptParameters(style="zero_shot", template="Q {question}")
    parameters = PromptParameters(separator=" | ", of_suite={"other": other, "third": third})

    table = render_prompts(asked, base, parameters)

    assert list(table["prompt"]) == ["0 + 0 = 0 | 2 + 2 =", "1 + 1 = 2\n3 + 3 = ", "Q 4 + 4 ="]

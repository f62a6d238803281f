"""Chat models of the families that are used most: what their templates are told, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restem.errors import ParameterError, PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.sampling.prompts import conversations, render_prompts
from restem.sampling.template_variables import variables_read
from tests.builders import checked, questions
from tests.tiny_models import config_of
from tests.tiny_tokenizers import FAMILIES, chat


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Policy]:
    root = tmp_path_factory.mktemp("families")

    def made(family: str) -> Policy:
        folder: Path = root / family
        if not folder.exists():
            tokenizer = chat(family)
            tokenizer.save_pretrained(folder)
            config_of("llama", vocabulary=len(tokenizer)).save_pretrained(folder)
        return Policy(path=folder.as_posix(), fingerprint=family, iteration=0, name=family, base=family)

    return made


def rendered(policy: Policy, *splits: str, **changes: Any) -> str:
    """Return the prompt of the last question, as a chat."""
    prompts = render_prompts(questions(*(splits or ("train",))), policy, PromptParameters(style="chat", **changes))
    return str(prompts["prompt"].iloc[-1])


@pytest.mark.parametrize(
    ("family", "changes", "end"),
    [
        ("qwen3", {}, "<|im_start|>assistant\n"),
        ("qwen3", {"template_options": {"enable_thinking": True}}, "<|im_start|>assistant\n"),
        ("qwen3", {"template_options": {"enable_thinking": False}}, "assistant\n<think>\n\n</think>\n\n"),
        ("smollm3", {}, "<|im_start|>assistant\n"),
        ("smollm3", {"template_options": {"enable_thinking": False}}, "assistant\n<think>\n\n</think>\n"),
        ("smollm3", {"system": "Add. /no_think"}, "assistant\n<think>\n\n</think>\n"),
        ("r1", {}, "<\uff5cAssistant\uff5c><think>\n"),
        ("gemma3", {}, "<start_of_turn>model\n"),
        ("llama3", {}, "<|start_header_id|>assistant<|end_header_id|>\n\n"),
    ],
)
def test_options_reach_the_template(
    family: str, changes: dict[str, Any], end: str, model: Callable[[str], Policy]
) -> None:
    prompt = rendered(model(family), **changes)

    assert prompt.endswith(end)
    assert prompt.count("<think>") == end.count("<think>")


def test_an_option_of_a_suite_is_its_own(model: Callable[[str], Policy]) -> None:
    silent = PromptParameters(style="chat", template_options={"enable_thinking": False})
    asked = questions("train", "transfer").assign(source=["sums", "other"])
    parameters = PromptParameters(style="chat", of_suite={"other": silent})

    own, other = render_prompts(asked, model("qwen3"), parameters)["prompt"]

    assert (own.endswith("assistant\n"), other.endswith("</think>\n\n")) == (True, True)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        (
            "qwen3",
            {"enable_thinkng": False},
            r"does not read prompt\.template_options\.enable_thinkng.*enable_thinking\?",
        ),
        ("llama3", {"enable_thinking": False}, r"of llama3 does not read .*enable_thinking.*: it reads no options"),
        ("qwen3", {"messages": []}, r"is not to be told prompt\.template_options\.messages"),
        ("llama3", {"date_string": "1 Jan"}, r"told prompt\.template_options\.date_string: the day is prompt\.date"),
        ("llama3", {"bos_token": ""}, r"bos_token: special tokens are the tokenizer's"),
        ("gemma3", {"turns": []}, r"does not read prompt\.template_options\.turns"),  # it sets that itself
    ],
)
def test_an_option_that_changes_nothing_is_refused(
    family: str, options: dict[str, Any], message: str, model: Callable[[str], Policy]
) -> None:
    with pytest.raises(PromptError, match=message):
        rendered(model(family), template_options=options)


def test_an_option_of_a_suite_is_named_by_its_path(model: Callable[[str], Policy]) -> None:
    misspelt = PromptParameters(style="chat", template_options={"thinking": 1})
    asked = questions("train", "transfer").assign(source=["sums", "other"])

    with pytest.raises(PromptError, match=r"prompt\.of_suite\.other\.template_options\.thinking"):
        render_prompts(asked, model("qwen3"), PromptParameters(style="chat", of_suite={"other": misspelt}))


def test_options_that_a_template_refuses_are_named(model: Callable[[str], Policy], tmp_path: Path) -> None:
    tokenizer = chat("qwen3")
    tokenizer.chat_template = (
        "{%- set modes = ['a', 'b'] %}"
        "{%- if mode is defined and mode not in modes %}{{ raise_exception('mode is a or b') }}{%- endif %}{{ mode }}"
    )
    tokenizer.save_pretrained(tmp_path)
    config_of("llama").save_pretrained(tmp_path)
    policy = Policy(path=tmp_path.as_posix(), fingerprint="p", iteration=0, name="mine", base="p")

    with pytest.raises(
        PromptError, match=r"refuses prompt\.template_options \(TemplateError: mode is a or b\); without"
    ):
        rendered(policy, template_options={"mode": "c"})
    assert rendered(policy, template_options={"mode": "a"}) == "a"


def test_what_a_template_reads_is_found_also_where_it_has_a_default() -> None:
    assert "enable_thinking" in variables_read(FAMILIES["smollm3"].template)
    assert "date_string" in variables_read(FAMILIES["llama3"].template)
    assert variables_read("{% for x in tools %}{% break %}{% endfor %}{{ namespace(a=y) }}{{ range(3) }}") == {
        "tools",
        "y",
    }


@pytest.mark.parametrize(
    ("family", "place"), [("gemma3", "user\nBe brief.\n\n0 + 0 ="), ("llama3", "\n\nBe brief.<|eot_id|>")]
)
def test_the_system_stands_where_the_template_puts_it(family: str, place: str, model: Callable[[str], Policy]) -> None:
    assert place in rendered(model(family), system="Be brief.")
    assert rendered(model(family), system="Be brief.") == rendered(model(family), instruction="Be brief.")


def test_beside_a_system_the_instruction_begins_the_first_turn_of_the_user(model: Callable[[str], Policy]) -> None:
    said = {"instruction": "Add.", "separator": " | "}

    both = rendered(model("qwen3"), "exemplar", "train", system="Be brief.", **said)
    without = rendered(model("gemma2"), "exemplar", "train", system="", **said)

    assert both.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nAdd. | 0 + 0 =<|im_end|>")
    assert both.count("Add.") == 1
    assert without.startswith("<bos><start_of_turn>user\nAdd. | 0 + 0 =<end_of_turn>")


@pytest.mark.parametrize("parameter", ["system", "instruction"])
def test_a_template_without_a_system_says_what_to_do(parameter: str, model: Callable[[str], Policy]) -> None:
    with pytest.raises(
        PromptError, match=r"refuses the turn of the system .*supported.; with prompt\.system=.. there is none"
    ):
        rendered(model("gemma2"), **{parameter: "Be brief."})


def test_a_template_that_passes_over_the_system_is_refused(tmp_path: Path) -> None:
    tokenizer = chat("qwen3")
    tokenizer.chat_template = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    config_of("llama").save_pretrained(tmp_path)
    policy = Policy(path=tmp_path.as_posix(), fingerprint="p", iteration=0, name="mine", base="p")

    with pytest.raises(PromptError, match=r"the chat template of mine passes over the turn of the system; with"):
        rendered(policy, system="Be brief.")
    assert rendered(policy, system="", instruction="Add.", separator="\n") == "Add.\n0 + 0 ="


def test_earlier_turns_lose_their_thinking_where_the_template_takes_it(model: Callable[[str], Policy]) -> None:
    solved = questions("exemplar", "train").assign(gold=['{"solution": "<think>\\nhm\\n</think>\\n\\n0"}', "{}"])

    for family in ("qwen3", "r1"):
        prompt = render_prompts(solved, model(family), PromptParameters(style="chat"))["prompt"].iloc[-1]
        assert "hm" not in prompt


def test_exported_conversations_have_the_same_turns() -> None:
    parameters = PromptParameters(style="chat", system="Be brief.", instruction="Add.", separator="\n")

    (turns,) = conversations(questions("train"), parameters).values()

    assert [turn["content"] for turn in turns] == ["Be brief.", "Add.\n0 + 0 ="]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            {"template_options": {"enable_thinking": False}},
            r"template_options .*prompt\.style=few_shot uses none",
        ),
        ({"style": "zero_shot", "system": "Be brief."}, r"prompt\.system is a turn of a chat, .*prompt\.instruction"),
        ({"style": "chat", "template_options": {"a": "False"}}, r"gives a a text, .*: write false"),
        (
            {"of_suite": {"s": {"style": "zero_shot", "system": ""}}},
            r"prompt\.of_suite\.s\.system is a turn of a chat",
        ),
    ],
)
def test_what_only_a_chat_has_is_refused_elsewhere(prompt: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        checked(prompt=prompt)

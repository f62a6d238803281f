"""Chat templates and special tokens: on tokenizers of a few tokens, in the arithmetic of whole numbers."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.engines import open_engine
from restem.engines.encoding import encode_prompts, surrounding_tokens
from restem.errors import ParameterError, PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.policies.tiny_model import write_tiny_model
from restem.sampling import chat_templates
from restem.sampling.prompts import render_prompts
from restem.sampling.styles import adds_special_tokens
from restem.training.continuations import Continuations
from restem.training.rows import encode_example
from tests.builders import checked, questions

PLAIN = "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
LLAMA = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '26 Jul 2024' %}"
    "{%- endif %}{%- endif %}today: {{ date_string }} {{ messages[-1]['content'] }}"
)
SMOLLM3 = "{%- set today = strftime_now('%d %B %Y, %H:%M:%S.%f') -%}today: {{ today }} {{ messages[-1]['content'] }}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_model(folder)
    return folder


@pytest.fixture
def policy(tiny: Path, tmp_path: Path) -> Callable[..., Policy]:
    def make(template: str | None = None, **of_tokenizer: Any) -> Policy:
        for file in tiny.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        if template is not None:
            (tmp_path / "chat_template.jinja").write_text(template)
        for name, value in of_tokenizer.items():
            tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
            tokenizer[name] = value
            (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
        return Policy(path=tmp_path.as_posix(), fingerprint="p", iteration=0, name="tiny", base="p")

    return make


def surrounded(before: list[str], behind: list[str]) -> dict[str, Any]:
    """Return a post processor that puts these tokens around a text."""
    names = {"<bos>": 1, "<eos>": 2}
    single = [
        *({"SpecialToken": {"id": name, "type_id": 0}} for name in before),
        {"Sequence": {"id": "A", "type_id": 0}},
        *({"SpecialToken": {"id": name, "type_id": 0}} for name in behind),
    ]
    tokens = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in names.items()}
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens}


def chats(policy: Policy, **changes: Any) -> list[str]:
    return list(render_prompts(questions("train", "test"), policy, PromptParameters(style="chat", **changes))["prompt"])


@pytest.mark.parametrize("template", [LLAMA, SMOLLM3])
def test_prompts_do_not_change_at_midnight(
    template: str, policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.utils import chat_template_utils

    class Tomorrow(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Tomorrow":
            return cls(2031, 5, 17, 11, 59, 59, 123, tz)

    made = policy(template)
    today = chats(made)
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)

    assert chats(made) == today
    assert today[0].startswith("today: 26 Jul")
    assert chat_template_utils.datetime is Tomorrow  # only the process of the template has another day


@pytest.mark.parametrize(
    ("template", "shown"),
    [(LLAMA, "03 Dec 2025"), (SMOLLM3, "03 December 2025, 00:00:00.000000")],
)
def test_day_that_a_template_is_told_can_be_set(template: str, shown: str, policy: Callable[..., Policy]) -> None:
    assert chats(policy(template), date="2025-12-03")[0] == f"today: {shown} 0 + 0 ="


def test_day_may_be_written_without_quotes_and_must_be_one() -> None:
    assert checked(prompt={"date": datetime.date(2025, 12, 3)}).prompt.date == "2025-12-03"
    with pytest.raises(ParameterError, match=r"prompt\.date must be a day like 2024-07-26, got 'today'"):
        checked(prompt={"date": "today"})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "prompt 1 of 2 within 1 s"),
        ("{% for i in range(10**9) %}{% endfor %}x", "refuses the conversation .OverflowError"),
        ("{{ 'x' * 10**10 }}", "GiB of memory|refuses the conversation"),
        ("{{ 'x' * 5000000 }}", "writes prompts of 5000000 characters"),
        ("{{ range(10**5) | random }}", "writes another prompt each time"),
        ("{{ lipsum() }}", "writes another prompt each time"),
        ("{{ raise_exception('no system role') }}", "refuses the conversation .TemplateError: no system role"),
        ("{% endfor %}", "refuses the conversation .TemplateSyntaxError"),
    ],
)
def test_template_that_would_stop_or_spoil_a_run_is_refused(
    template: str, message: str, policy: Callable[..., Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "range(99999)" in template
    monkeypatch.setattr(chat_templates, "_PATIENCE_S", 1.0 if slow else 60.0)

    with pytest.raises(PromptError, match=message):
        chats(policy(template))


@pytest.mark.parametrize("style", ["few_shot", "chat"])
@pytest.mark.parametrize(("before", "behind"), [(["<bos>"], []), (["<bos>"], ["<eos>"]), ([], ["<eos>"]), ([], [])])
def test_every_prompt_begins_once_and_does_not_end(
    style: str, before: list[str], behind: list[str], policy: Callable[..., Policy]
) -> None:
    from transformers import AutoTokenizer

    made = policy(PLAIN, post_processor=surrounded(before, behind))
    parameters = PromptParameters(style=style)
    tokenizer = AutoTokenizer.from_pretrained(made.path, local_files_only=True)
    prompt = render_prompts(questions("exemplar", "train"), made, parameters)["prompt"][0]
    asked = {"add_special_tokens": adds_special_tokens(parameters)}
    (ids,) = encode_prompts(tokenizer, [prompt], **asked)
    example = encode_example(Continuations(tokenizer, **asked), prompt, "2", finished=True)

    assert ids.count(1) == (1 if style == "chat" else len(before))
    assert 2 not in ids
    assert example.input_ids == [*ids, *tokenizer("2", add_special_tokens=False)["input_ids"], 2]
    assert surrounding_tokens(tokenizer) == (tuple([1] * len(before)), tuple([2] * len(behind)))


def test_tokenizer_that_ends_texts_draws_as_one_that_does_not(policy: Callable[..., Policy]) -> None:
    def drawn(behind: list[str]) -> list[Any]:
        folder = policy(post_processor=surrounded(["<bos>"], behind)).path
        with open_engine("transformers", folder, dtype="float32", device="cpu") as engine:
            return list(engine.sample(["1 + 1 ="], n=4, max_new_tokens=5, seed=3))

    assert drawn(["<eos>"]) == drawn([])


def writes_bos(question: str, *, exemplars: Any, parameters: Any) -> str:
    return f"<bos>{question}"


def writes_its_own_bos(question: str, *, exemplars: Any, parameters: Any) -> str:
    return f"<bos>{question}"


writes_its_own_bos.adds_special_tokens = True  # type: ignore[attr-defined] # the flag of a style


def never_the_same(question: str, *, exemplars: Any, parameters: Any, seen: list[str] = []) -> str:  # noqa: B006
    seen.append(question)
    return f"{question} {len(seen)}"


def ends(question: str, *, exemplars: Any, parameters: Any) -> str:
    return f"{question}<eos>"


def gives_nothing(question: str, *, exemplars: Any, parameters: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style": f"{__name__}:writes_bos"}, r"question q0 begins twice with '<bos>'.*adds_special_tokens = True"),
        ({"style": "zero_shot", "template": "<bos>{question}"}, r"begins twice with '<bos>'.*prompt\.template"),
        ({"style": "zero_shot", "instruction": "<bos>"}, "begins twice"),
        ({"style": f"{__name__}:ends"}, "question q0 ends in '<eos>'"),
        ({"style": f"{__name__}:never_the_same"}, "another prompt each time for the question '0 . 0 ='"),
        ({"style": f"{__name__}:gives_nothing"}, "must return a text, got None"),
    ],
)
def test_prompt_whose_special_tokens_are_wrong_is_refused(
    changes: dict[str, Any], message: str, policy: Callable[..., Policy]
) -> None:
    with pytest.raises(PromptError, match=message):
        render_prompts(questions("train"), policy(), PromptParameters(**changes))


def test_style_of_ones_own_may_write_the_special_tokens_itself(policy: Callable[..., Policy]) -> None:
    parameters = PromptParameters(style=f"{__name__}:writes_its_own_bos")
    table: pd.DataFrame = render_prompts(questions("train"), policy(), parameters)

    assert table["prompt"][0] == "<bos>0 + 0 ="
    assert not adds_special_tokens(parameters)


@pytest.mark.parametrize("place", ["prompt.style", "prompt.of_suite.other.style"])
def test_chat_template_is_written_by_us_or_by_the_server_and_not_by_both(place: str) -> None:
    prompt = {"style": "chat", "of_suite": {"other": {"style": "chat"}}}
    sampling = {"engine": "openai", "engine_options": {"endpoint": "chat"}}

    with pytest.raises(ParameterError, match=f"{place}=chat writes the chat template"):
        checked(prompt=prompt, sampling=sampling)
    assert checked(prompt={"style": "zero_shot"}, sampling=sampling).prompt.style == "zero_shot"
    assert checked(prompt=prompt, sampling={"engine": "openai"}).prompt.style == "chat"


def in_context(*turns: dict[str, str]) -> pd.DataFrame:
    return questions("exemplar", "train").assign(context=["", json.dumps(turns)])


def test_a_question_follows_its_own_turns_and_its_system_takes_the_place_of_the_instruction(
    policy: Callable[..., Policy],
) -> None:
    told, said = {"role": "system", "content": "own"}, {"role": "assistant", "content": "earlier"}
    parameters = PromptParameters(style="chat", instruction="shared")

    (own,) = render_prompts(in_context(told, said), policy(PLAIN), parameters)["prompt"]
    (without,) = render_prompts(in_context(said), policy(PLAIN), parameters)["prompt"]

    lines = [line.partition(":")[::2] for line in own.removeprefix("<bos>").splitlines()]
    assert [role for role, _ in lines] == ["system", "user", "assistant", "assistant", "user", "assistant"]
    assert (lines[0], lines[3]) == (("system", " own"), ("assistant", " earlier"))
    assert without.removeprefix("<bos>").startswith("system: shared\nuser: ")


@pytest.mark.parametrize("style", ["few_shot", "zero_shot", f"{__name__}:shouted"])
def test_a_style_without_turns_refuses_a_question_that_follows_some(style: str, policy: Callable[..., Policy]) -> None:
    table = in_context({"role": "system", "content": "own"})

    with pytest.raises(PromptError, match=r"follows 1 turns of a chat \(system\).*use prompt\.style=chat"):
        render_prompts(table, policy(), PromptParameters(style=style))


def shouted(question: str, *, exemplars: Any, parameters: Any) -> str:
    return question.upper()

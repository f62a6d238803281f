"""Text that an answer begins with: the policy reads it and goes on, it is judged with what follows, and not learnt."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from transformers import AutoTokenizer

from restem.errors import ParameterError, PromptError
from restem.exporting.rows import Pairing, Samples, parts_of
from restem.filtering.solutions import human_solutions
from restem.parameters import PromptParameters, ScoringParameters
from restem.policies.policy import Policy
from restem.sampling.answers import judged_texts
from restem.sampling.existing import existing_samples
from restem.sampling.prompts import conversations, render_prompts
from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.scoring.audit import SECOND, audit_rewards
from restem.scoring.inspection import format_sample, samples_to_read
from restem.scoring.verdicts import score_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable
from restem.training.continuations import Continuations
from restem.training.rows import encode_rows
from tests.builders import NO_POLICY, checked, questions, training_row

GREEDY = Decoding("greedy", n=1, temperature=0.0, top_k=0, top_p=1.0, max_new_tokens=9, stop=())


def asked(*splits: str, reward: str = "exact") -> pd.DataFrame:
    return questions(*splits).assign(reward=reward, level="", licence="", gold=json.dumps({"answer": "12"}))


def as_question(text: str, *, exemplars: Any, parameters: Any) -> str:
    return f"{text}?"


@pytest.mark.parametrize("style", ["few_shot", "zero_shot", f"{__name__}:as_question"])
def test_every_style_ends_in_it(style: str, base: Policy) -> None:
    bare = render_prompts(questions("exemplar", "train"), base, PromptParameters(style=style))
    begun = render_prompts(questions("exemplar", "train"), base, PromptParameters(style=style, prefill=" it is"))

    assert begun["prompt"][0] == f"{bare['prompt'][0]} it is"
    assert list(begun["prefill"]) == [" it is"]
    assert "prefill" not in bare
    assert render_prompts(questions("exemplar", "train"), base, PromptParameters(style=style, prefill="")).equals(bare)


def test_the_same_text_with_another_prefill_is_another_prompt(base: Policy) -> None:
    one = render_prompts(questions("train"), base, PromptParameters(style="zero_shot", prefill=" 1"))
    other = render_prompts(questions("train"), base, PromptParameters(style="zero_shot", answer_prefix=" 1"))

    assert one["prompt"][0] == other["prompt"][0]
    assert one["prompt_id"][0] != other["prompt_id"][0]


def test_a_suite_has_its_own(base: Policy) -> None:
    table = questions("train", "transfer").assign(source=["sums", "other"])
    parameters = PromptParameters(
        style="zero_shot", of_suite={"other": PromptParameters(style="zero_shot", prefill="!")}
    )

    assert list(render_prompts(table, base, parameters)["prefill"]) == ["", "!"]


def test_one_that_fills_the_context_window_is_refused(base: Policy) -> None:
    with pytest.raises(PromptError, match=r"prompt\.prefill has 600 tokens .'1111.* window of builtin:tiny is 512"):
        render_prompts(questions("train"), base, PromptParameters(style="zero_shot", prefill="1" * 600))


def test_one_that_ends_the_answer_is_refused(base: Policy) -> None:
    with pytest.raises(PromptError, match="ends in '<eos>'"):
        render_prompts(questions("train"), base, PromptParameters(style="zero_shot", prefill="4<eos>"))


def test_a_server_that_writes_the_template_cannot_go_on_from_it() -> None:
    sampling = {"engine": "openai", "engine_options": {"endpoint": "chat"}}

    with pytest.raises(ParameterError, match=r"prompt\.prefill begins the answer, .*endpoint=completions"):
        checked(prompt={"style": "zero_shot", "prefill": "1"}, sampling=sampling)
    assert checked(prompt={"style": "zero_shot", "prefill": "1"}, sampling={"engine": "openai"}).prompt.prefill == "1"


@pytest.fixture(scope="module")
def scored(base: Policy, tmp_path_factory: pytest.TempPathFactory) -> ShardedTable:
    """Return verdicts on "2" behind the prefill "1", where 12 is right."""
    journal = Journal(tmp_path_factory.mktemp("journal"))
    prompts = render_prompts(asked("train"), base, PromptParameters(style="zero_shot", prefill="1"))
    draw = Draw(prompts.assign(suite="train"), GREEDY, purpose="train", iteration=1)
    choice = EngineChoice("scripted", {"default": ["2"]}, True, questions_per_shard=6)
    samples = draw_samples([draw], NO_POLICY, choice=choice, journal=journal, experiment_seed=0)
    return score_samples(samples, asked("train"), parameters=ScoringParameters(), journal=journal)


def test_it_is_judged_with_what_the_policy_said(scored: ShardedTable) -> None:
    (row,) = scored.to_pandas().to_dict("records")

    assert (row["prefill"], row["completion"], row["reward"], row["answer"]) == ("1", "2", 1.0, "12")


def test_a_second_verifier_and_a_reader_see_it_too(scored: ShardedTable, tmp_path: Path) -> None:
    as_math = score_samples(
        ShardedTable(scored.files),
        asked("train", reward="math"),
        parameters=ScoringParameters(),
        journal=Journal(tmp_path),
    )
    second = audit_rewards(as_math, asked("train", reward="math"), parameters=ScoringParameters(), seed=0)
    (shown,) = samples_to_read(scored, asked("train"), n_accepted=1, n_rejected=0)

    assert list(second.loc[second["check"] == SECOND, "agrees"]) == ["yes"]
    assert "begun for it (prompt.prefill):\n    1\n  completion:\n    2" in format_sample(shown)


def test_the_loss_begins_with_the_policys_own_text(base: Policy) -> None:
    write = Continuations(AutoTokenizer.from_pretrained(base.folder))
    prompt = render_prompts(questions("train"), base, PromptParameters(style="zero_shot", prefill=" it is"))["prompt"][
        0
    ]
    rows = pd.DataFrame([training_row("q0", prompt, " 0")])

    (example,) = encode_rows(rows, write)

    assert write.tokenizer.decode(example.input_ids[: example.n_read]) == "<bos>0 + 0 = it is"
    assert write.tokenizer.decode(example.input_ids[example.n_read :]) == " 0<eos>"


@pytest.mark.parametrize(
    ("solution", "behind"),
    [("It is 4.", " 4."), (" It is 4.", " 4."), ("4", " 4"), ("it is 4", " it is 4"), ("", "")],
)
def test_what_others_wrote_with_it_is_not_said_twice(solution: str, behind: str, base: Policy, tmp_path: Path) -> None:
    parameters = PromptParameters(style="zero_shot", prefill="\nIt is")
    table = asked("train").assign(gold=json.dumps({"answer": "4", "solution": solution}))
    prompts = render_prompts(table, base, parameters)
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"question_id": "q0", "completion": solution}))
    draw = Draw(prompts.assign(suite="train"), GREEDY, purpose="train", iteration=1)

    read = existing_samples(draw, table, {"paths": str(file)}, per_shard=2, journal=Journal(tmp_path / "journal"))
    rows = human_solutions(table, prompts, journal=Journal(tmp_path / "journal"))

    assert list(read["completion"]) == [behind]
    assert judged_texts(read.to_pandas()) == [f"\nIt is{behind}"]
    if solution:
        assert list(rows["completion"]) == [behind]


def test_an_exported_answer_is_whole(scored: ShardedTable, base: Policy) -> None:
    parameters = PromptParameters(style="zero_shot", prefill="1")
    prompts = render_prompts(asked("train"), base, parameters)
    turns = conversations(asked("train"), parameters)
    samples = Samples(scored, ShardedTable([]), scored, asked("train"), prompts, turns)

    (rows,) = parts_of(samples, Pairing(1, 0, truncated=False))["training_set"]().rows

    assert rows[0]["messages"][-1] == {"role": "assistant", "content": "12"}

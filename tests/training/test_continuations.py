"""What is learnt behind a prompt is what was sampled there, whatever the tokenizer does at the start of a text."""

import random
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer

from restem.engines import open_engine
from restem.engines.texts import Draft, Reader
from restem.policies.policy import Policy
from restem.training.continuations import Continuations
from tests.tiny_tokenizers import KINDS, made

PROMPTS = ["q: 1 + 2\na:", "q: 1 + 2\n", "Answer: ", "Answer", "<|im_end|>\n", "tabs \t"]


@pytest.fixture(scope="module", params=[(kind, begins) for kind in KINDS for begins in (True, False)], ids=str)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    kind, begins = request.param
    tokenizer = made(kind)
    if begins:
        template = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
        tokenizer.backend_tokenizer.post_processor = template
    return tokenizer


def sampled(tokenizer: Any, prompt: str, tokens: list[int], *, stop: tuple[str, ...] = ()) -> Any:
    """Return the completion that an engine gives for these tokens, which end as it would end them."""
    before = tokenizer(prompt)["input_ids"]
    reader = Reader(tokenizer, frozenset([tokenizer.eos_token_id]), stop)
    for n in range(1, len(tokens) + 1):
        if reader.ended(before, tokens[:n]):
            return reader.completion(before, Draft(0, 0, tokens[:n]), logprob=False, token_ids=True)
    return reader.completion(before, Draft(0, 0, list(tokens)), logprob=False, token_ids=True)


def drawn(tokenizer: Any, seed: int) -> list[int]:
    letters = [index for index in range(len(tokenizer)) if index not in tokenizer.all_special_ids]
    return random.Random(seed).choices(letters, k=random.Random(seed).randint(1, 9))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_tokens_that_were_sampled_are_learnt(tokenizer: Any, prompt: str) -> None:
    write = Continuations(tokenizer)
    for seed in range(12):
        tokens = drawn(tokenizer, seed)
        cut, ended = sampled(tokenizer, prompt, tokens), sampled(tokenizer, prompt, [*tokens, tokenizer.eos_token_id])

        assert write.ids(prompt, cut.text, finished=False, sampled=cut.token_ids) == tokens
        assert write.ids(prompt, ended.text, finished=True, sampled=ended.token_ids) == [
            *tokens,
            tokenizer.eos_token_id,
        ]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("text", ["4 2", " 42", "42", "\n42\n", "x = 7.", " is it  two", "\t7", " "])
def test_a_text_is_learnt_so_that_it_reads_as_it_stands(tokenizer: Any, prompt: str, text: str) -> None:
    write = Continuations(tokenizer)
    if not write.can_write(text):
        pytest.skip("the tokenizer has no tokens for this text")
    before = write.prompt_ids(prompt)

    ids = write.ids(prompt, text, finished=True)

    assert ids[-1] == tokenizer.eos_token_id
    assert write.reads(before, ids, text)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_what_stands_before_a_stop_string_is_learnt_and_then_an_end(tokenizer: Any, prompt: str) -> None:
    write = Continuations(tokenizer)
    before = write.prompt_ids(prompt)
    for seed in range(12):
        tokens = drawn(tokenizer, seed) + tokenizer("a: 3\n\nq: 1", add_special_tokens=False)["input_ids"]
        completion = sampled(tokenizer, prompt, tokens, stop=("3\n", "= ", "q:"))
        if completion.finish_reason == "length":
            continue

        ids = write.ids(prompt, completion.text, finished=True, sampled=completion.token_ids)

        assert ids[-1] == tokenizer.eos_token_id
        assert write.reads(before, ids, completion.text) or not write.can_write(completion.text)
        whole = list(completion.token_ids)
        n_before = max(
            n for n in range(len(whole)) if completion.text.startswith(write_out(tokenizer, before, whole[:n]))
        )
        assert ids[:n_before] == whole[:n_before]


def write_out(tokenizer: Any, before: list[int], tokens: list[int]) -> str:
    return Reader(tokenizer, frozenset(), ()).text(before, tokens)


def test_a_special_token_that_ends_a_completion_is_learnt_and_an_end_of_the_policys_behind_it(tokenizer: Any) -> None:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    tokens = [*drawn(tokenizer, 3), end]
    completion = sampled(tokenizer, PROMPTS[0], tokens, stop=("<|im_end|>",))
    row = {"finished": True, "sampled": completion.token_ids}

    ids = Continuations(tokenizer).ids(PROMPTS[0], completion.text, **row)
    of_a_policy_that_ends_so = Continuations(tokenizer, ends=[end]).ids(PROMPTS[0], completion.text, **row)

    assert completion.finish_reason == "stop"
    assert ids == [*tokens, tokenizer.eos_token_id]
    assert of_a_policy_that_ends_so == tokens


def test_a_teachers_end_that_the_policy_has_no_token_for_becomes_the_policys(tokenizer: Any) -> None:
    tokens, beyond = drawn(tokenizer, 5), len(tokenizer) + 3
    text = write_out(tokenizer, tokenizer(PROMPTS[0])["input_ids"], tokens)
    write = Continuations(tokenizer)

    assert write.ids(PROMPTS[0], text, finished=True, sampled=[*tokens, beyond]) == [*tokens, tokenizer.eos_token_id]
    assert write.ids(PROMPTS[0], "", finished=True, sampled=[beyond]) == [tokenizer.eos_token_id]


@pytest.mark.parametrize("finished", [True, False])
def test_no_token_is_learnt_that_the_policy_does_not_have(tokenizer: Any, finished: bool) -> None:
    write, beyond = Continuations(tokenizer), len(tokenizer) + 3
    tokens = tokenizer("4 2\nq:", add_special_tokens=False)["input_ids"]
    text = write_out(tokenizer, tokenizer(PROMPTS[1])["input_ids"], tokens)

    for completion in (text, text.partition("\nq:")[0]):  # all of it, and what is before a stop string
        ids = write.ids(PROMPTS[1], completion, finished=finished, sampled=[beyond, *tokens])

        assert max(ids) < len(tokenizer)
        assert write.reads(write.prompt_ids(PROMPTS[1]), ids, completion)
    assert not write.reads(write.prompt_ids(PROMPTS[1]), [beyond, *tokens], text)


def test_the_tokens_of_a_prompt_are_its_own_whichever_was_asked_for_before(tokenizer: Any) -> None:
    write = Continuations(tokenizer)
    alone = [Continuations(tokenizer).prompt_ids(prompt) for prompt in PROMPTS]

    write.prompt_ids(PROMPTS[0]).append(0)  # what is handed out is the caller's

    assert [write.prompt_ids(prompt) for prompt in PROMPTS] == alone


def test_tokens_of_another_tokenizer_are_not_taken() -> None:
    theirs, ours = made("byte_level"), made("llama_2")
    completion = sampled(theirs, PROMPTS[0], theirs(" 42 because")["input_ids"])
    write = Continuations(ours)

    ids = write.ids(PROMPTS[0], completion.text, finished=False, sampled=completion.token_ids)

    assert ids != list(completion.token_ids)
    assert write.reads(write.prompt_ids(PROMPTS[0]), ids, completion.text)


def test_no_space_is_added_from_iteration_to_iteration(tokenizer: Any) -> None:
    write = Continuations(tokenizer)
    read = Reader(tokenizer, frozenset(), ()).text
    text = "4 2"

    for _ in range(4):
        text = read(write.prompt_ids("q: 1 + 2\n"), write.ids("q: 1 + 2\n", text, finished=False))

    assert text == "4 2"


def test_an_engine_says_which_tokens_it_sampled(base: Policy) -> None:
    prompts = ["q: 1 + 2\na:", "q: 3 + 4\na:"]
    with open_engine("transformers", base.path, dtype="float32") as engine:
        drawn = list(engine.sample(prompts, n=6, temperature=1.0, max_new_tokens=6, seed=1, stop=["1"], token_ids=True))
    write = Continuations(AutoTokenizer.from_pretrained(base.folder))

    for prompt, completions in zip(prompts, drawn, strict=True):
        for completion in completions:
            finished = completion.finish_reason == "stop"
            ids = write.ids(prompt, completion.text, finished=finished, sampled=completion.token_ids)
            assert len(completion.token_ids or ()) == completion.n_tokens
            tokens = list(completion.token_ids or ())
            assert ids == tokens or ids[:-1] == tokens[: len(ids) - 1]  # but for the one that holds the stop string
    assert {completion.finish_reason for completions in drawn for completion in completions} == {"stop", "length"}

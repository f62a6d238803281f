"""A first look at a data set of any layout: its columns, what they are likely to be, its golds and its prompts."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from restem.engines.encoding import encode_prompts
from restem.engines.model_code import from_folder
from restem.parameters import Parameters, PromptParameters, QuestionsParameters
from restem.policies.policy import Policy
from restem.questions import load_questions
from restem.questions.columns import GOLD, Column, columns_in, flat
from restem.questions.dealing import fitting
from restem.questions.guesses import are_mathematics, guess
from restem.questions.hub import read_hub
from restem.questions.options import OPTIONS, checked
from restem.questions.places import Records, read_paths
from restem.rewards import check_golds
from restem.sampling.prompts import render_prompts
from restem.sampling.styles import adds_special_tokens
from restem.scoring.verdicts import open_reward
from restem.store.tables import Table

N_GOLDS = 2000  # at most that are tried; a second or so for most rewards
_N_PROMPTS = 5


class Look(NamedTuple):
    """What a data set holds, and how it would be read."""

    source: str  # file or hub
    records: Records
    columns: list[Column]
    options: dict[str, Any]  # of the source
    numbers: dict[str, int | None]  # of questions: those of the project, and lower ones where the set is small
    questions: Table  # all of them

    def yaml(self) -> dict[str, Any]:
        """Return the parameters by which a run reads it."""
        chat = {"prompt": {"style": "chat"}} if "context" in self.questions else {}
        return {"questions": {"source": self.source, **self.numbers, "options": self.options}, **chat}


def look_at(source: str, given: Mapping[str, Any], parameters: QuestionsParameters) -> Look:
    """Return what is found, with guesses in place of the options that are not given.

    Args:
        source: file or hub.
        given: Options of the source, as the user said them.
        parameters: Of the project: how many questions of each split are asked for.

    Raises:
        QuestionsError: If nothing is there, or no column looks like a question or a gold and none was named.
    """
    records = _read(source, given)
    everything = [record for of_split in records.values() for record in of_split]
    options = _with_guesses(given, guess(everything).options())
    splits = {"train": everything} if list(records) == [""] else records
    n = len(splits.get("train", []))
    carved = {"exemplar", "test", "validation"} - splits.keys()
    asked = {name: getattr(parameters, name) for name in ("n_train", "n_validation", "n_test", "n_exemplars")}
    has_column = "split" in dict(flat(options.get("columns", {})))
    numbers = asked | ({} if has_column else fitting(parameters, n=n, carved=carved))
    most = N_GOLDS if options.get("streaming") else None  # else it is all here already
    all_of_it = replace(
        QuestionsParameters(source=source, options=options, seed=parameters.seed),
        n_train=most,
        n_validation=0 if "validation" in carved else most,
        n_test=1 if "test" in carved else most,
        n_exemplars=numbers["n_exemplars"],
    )
    table = load_questions(all_of_it)
    if "reward" not in options and are_mathematics(_answers(table)):
        options, table = {**options, "reward": "math"}, table.assign(reward="math")
    return Look(source, records, columns_in(everything), options, numbers, table)


def _answers(questions: Table) -> list[str]:
    return [answer for gold in questions["gold"] if (answer := json.loads(gold).get("answer"))]


def _read(source: str, given: Mapping[str, Any]) -> Records:
    options = checked(given, OPTIONS[source])
    if source == "file":
        return read_paths(options.path, name="question")
    return read_hub(options, numbers={"train": N_GOLDS, "test": N_GOLDS, "validation": N_GOLDS})[1]


def _with_guesses(given: Mapping[str, Any], guessed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave, and those that were guessed for fields of which the user says nothing."""
    said = dict(flat(given.get("columns") or {}))
    heads = {field.partition(".")[0] for field in said} | (
        {"text", "messages"} if {"text", "messages"} & said.keys() else set()
    )
    columns = {field: path for field, path in guessed.get("columns", {}).items() if field not in heads}
    if GOLD in heads:  # how to read another column of golds is not known
        guessed = {name: value for name, value in guessed.items() if name not in ("extract", "reward")}
    merged = {**columns, **(given.get("columns") or {})}
    return {
        **given,
        **({"columns": merged} if merged else {}),
        **{k: v for k, v in guessed.items() if k not in given and k != "columns"},
    }


def unjudgeable(look: Look, parameters: Parameters) -> tuple[int, Table]:
    """Return how many golds were tried, by the reward of each question, and those that fail, with the reason."""
    sample = look.questions.head(N_GOLDS)
    return len(sample), check_golds(sample, open_reward=partial(open_reward, parameters=parameters.scoring))


def first_prompts(look: Look, policy: Policy, parameters: PromptParameters) -> list[tuple[str, int]]:
    """Return the prompts of the first few questions, as the policy reads them, each with its length in tokens.

    Raises:
        PromptError: If they cannot be rendered.
    """
    from transformers import AutoTokenizer

    table = look.questions
    shown = table[table["split"] != "exemplar"].head(_N_PROMPTS)
    asked = replace(parameters, style="chat") if "context" in table else parameters
    prompts = render_prompts(table[table["split"].eq("exemplar") | table.index.isin(shown.index)], policy, asked)
    tokenizer = AutoTokenizer.from_pretrained(policy.path, **from_folder())
    texts = prompts["prompt"].to_list()
    encoded = encode_prompts(tokenizer, texts, add_special_tokens=adds_special_tokens(asked))
    return [(text, len(ids)) for text, ids in zip(texts, encoded, strict=True)]

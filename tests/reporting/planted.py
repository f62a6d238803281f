"""An experiment of three policies whose numbers are planted, and the page that tells of it as a reader finds it."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd

from restem.evaluation.metrics import summarise_evaluation
from tests.builders import evaluation

N = 64


def evaluation_of(i: int, rate: float) -> pd.DataFrame:
    random = np.random.default_rng(i)
    suites = {suite: random.binomial(8, rate, n) for suite, n in (("test", N), ("train", 32))}
    return pd.concat(
        [evaluation(n_correct, suite=suite, policy_id=f"policy{i}") for suite, n_correct in suites.items()],
        ignore_index=True,
    )


EVALUATIONS = {i: evaluation_of(i, rate) for i, rate in enumerate((0.2, 0.5, 0.5))}
METRICS = {i: summarise_evaluation(table, k=[1, 8], seed=0) for i, table in EVALUATIONS.items()}


def record(i: int, **changed: object) -> dict[str, object]:
    made = {
        "iteration": i,
        "policy": f"policy{i}",
        "parent": None if i == 0 else f"policy{i - 1}",
        "base": "policy0",
        "model": "builtin:some-model",
        "parameters": {"sampling": {"n": 16 if i < 2 else 32, "stop": ["|"]}, "em": {"seed": 7}},
        "versions": {"torch": "2.13.0"},
        "git_commit": "0123abc",
        "questions_digest": "digest",
        "stale": False,
    }
    return {**made, **changed}


def inputs(last: int = 2, **changed: object) -> dict[str, Any]:
    made = range(1, last + 1)
    dropped = {
        "below_min_reward": 600,
        "truncated": 11,
        "repeated": 77,
        "over_cap": 33,
    }
    filtering = {"n_samples": 1000, "n_correct": 400, "n_kept": 290, "n_questions": 100, "n_questions_kept": 61}
    scoring = {"n": 1000, "by_reason": {"correct": 400, "no_answer": 123, "wrong": 477}, "acceptance": 0.4}
    given = {
        "experiment": "demo",
        "metrics": {i: METRICS[i] for i in range(last + 1)},
        "evaluations": {i: EVALUATIONS[i] for i in range(last + 1)},
        "filtering": {i: {**filtering, "dropped": dropped} for i in made},
        "scoring": {i: scoring | {"questions_with_correct": 61, "n_questions": 100} for i in made},
        "records": {i: record(i) for i in range(last + 1)},
        "svgs": {"pass_at_1": "<svg></svg>"},
    }
    return {**given, **changed}


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data

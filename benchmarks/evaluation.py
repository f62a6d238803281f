"""How long it takes to evaluate a policy and to write the report, and how much memory and disk that needs.

Scored samples are made up, in shards of 64 questions as in the journal; what reads and counts them is restem's own.
There is nothing to compare with, so there are no ratios: the aims are 5 seconds and 1 GiB for 5,000 questions of 64
samples, 10 seconds and 5 MB for the report on three iterations of 1,000 questions.
"""

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from restem.evaluation import breakdowns, metrics, sentinels, solved_and_lost
from restem.filtering.selection import DROPPED
from restem.planning import cost
from restem.reporting import assemble
from restem.schemas import check
from restem.store.records import FORMAT, Record
from restem.store.tables import ShardedTable, Table, write_shard

_SHARD = 64  # questions
_DECODING = "temperature=1.0 top_k=0 top_p=0.95"
_SUITES = {"test": 0.7, "validation": 0.15, "train": 0.15}  # shares of the questions
_N_REPORT = 64  # samples per question of the report


def scored_shard(  # noqa: PLR0913 - what a sample says of itself
    names: list[str], rates: np.ndarray, n: int, *, policy: str, suite: str, seed: int
) -> Table:
    """Return made-up scored samples of some questions: n sampled and one greedy each."""
    random = np.random.default_rng([seed, len(names)])
    shape = (len(names), n + 1)
    right = random.random(shape) < rates[:, None]
    answers = np.where(right, 9, random.integers(0, 9, shape)).astype(str).ravel()
    index = np.tile(np.arange(n + 1), len(names))
    is_greedy = index == n
    return pd.DataFrame(
        {
            "policy_id": policy,
            "question_id": np.repeat(names, n + 1),
            "suite": suite,
            "decoding": np.where(is_greedy, "greedy", "sampled"),
            "sample_index": np.where(is_greedy, 0, index),
            "prompt_id": "prompt",
            "completion": [f"it is {number % 40}, so the answer is {answer}" for number, answer in enumerate(answers)],
            "n_tokens": random.integers(5, 60, index.size),
            "finish_reason": "stop",
            "seed": 1,
            "reward": right.ravel().astype(float),
            "reason": np.where(right.ravel(), "correct", "wrong"),
            "answer": answers,
            "reward_version": "exact",
            "seconds": 0.0,
        }
    )


def write_samples(folder: Path, n_questions: int, n: int, *, policy: str, gain: float = 0.0) -> ShardedTable:
    """Return a table of made-up scored samples of all suites, on disk."""
    folder.mkdir(parents=True)
    files: list[Path] = []
    for suite, share in _SUITES.items():
        names = question_names(suite, round(share * n_questions))
        rates = np.clip(np.random.default_rng(len(suite)).beta(0.5, 1.0, len(names)) + gain, 0, 1)
        for start in range(0, len(names), _SHARD):
            part = slice(start, start + _SHARD)
            shard = scored_shard(names[part], rates[part], n, policy=policy, suite=suite, seed=start)
            files.append(folder / f"{len(files):05d}.parquet")
            write_shard(check("scored_samples", shard), files[-1])
    return ShardedTable(files)


def question_names(suite: str, n: int) -> list[str]:
    """Return ids of questions."""
    return [f"{suite}-{number:05d}" for number in range(n)]


def questions_table(n_questions: int) -> Table:
    """Return the questions that the samples answer."""
    names = [name for suite, share in _SUITES.items() for name in question_names(suite, round(share * n_questions))]
    levels = [f"level {number % 5}" for number in range(len(names))]
    gold = json.dumps({"answer": "9"})
    return pd.DataFrame(
        {"question_id": names, "text": "How many?", "gold": gold, "level": levels, "source": "made/up", "split": "test"}
    )


def evaluation_figures(folder: Path, n_questions: int, n: int) -> dict[str, float]:
    """Return seconds and MiB of evaluating one policy: from scored samples on disk to numbers with intervals."""
    scored = write_samples(folder, n_questions, n, policy="policy0")
    questions = questions_table(n_questions)
    before, started, at_work = _peak_mib(), time.perf_counter(), time.process_time()
    evaluation = metrics.evaluate_policy(scored, questions, decoding=_DECODING)
    counted = time.perf_counter()
    numbers = metrics.summarise_evaluation(evaluation, k=[1, 2, 4, 8, 16, 32, n], seed=0)
    seconds = time.perf_counter() - started
    sys.stdout.write(
        f"evaluation of {n_questions} questions x {n} samples: {seconds:.2f} s "
        f"({counted - started:.2f} s to read and count), test pass@1 {numbers['test/pass_at_1']['value']:.3f}\n"
    )
    return {
        "evaluation_s": round(seconds, 2),
        "evaluation_processor_s": round(time.process_time() - at_work, 2),
        "evaluation_mib": round(_peak_mib() - before, 1),
    }


def report_figures(folder: Path, n_questions: int) -> dict[str, float]:
    """Return seconds and MB of the report on three iterations, from their evaluations and records."""
    datasets = made_up_experiment(folder, n_questions)
    started, at_work = time.perf_counter(), time.process_time()
    evaluations = assemble.by_iteration(datasets, "evaluation")
    datasets["breakdown"] = breakdowns.break_down(evaluations, k=[1, _N_REPORT], seed=0)
    datasets["pass_at_k"] = breakdowns.pass_at_k_curves(evaluations, seed=0)
    made = assemble.by_iteration(datasets, "record")
    answers = assemble.tables_of(made, "greedy_answers")
    datasets["changed_questions"] = solved_and_lost.changed_questions(answers, questions_table(n_questions))
    datasets["cost"] = cost.cost_table(made, evaluations, {}, suite="test", seed=0)
    tables = time.perf_counter()
    datasets["figures"] = assemble.draw_figures(made, datasets["breakdown"], datasets["pass_at_k"])
    page = assemble.report("benchmark", datasets, seed=0)
    seconds = time.perf_counter() - started
    size = len(page.html.encode()) / 1e6
    sys.stdout.write(
        f"report on three iterations of {n_questions} questions: {seconds:.2f} s "
        f"({tables - started:.2f} s of it for its tables), {size:.2f} MB\n"
    )
    return {
        "report_s": round(seconds, 2),
        "report_processor_s": round(time.process_time() - at_work, 2),
        "report_mb": round(size, 2),
    }


def made_up_experiment(folder: Path, n_questions: int) -> dict[str, Any]:
    """Return the datasets of an experiment of three iterations, as the report reads them."""
    datasets: dict[str, Any] = {}
    questions = questions_table(n_questions)
    for i in range(4):
        scored = write_samples(folder / str(i), n_questions, _N_REPORT, policy=f"policy{i}", gain=0.04 * i)
        evaluation = metrics.evaluate_policy(scored, questions, decoding=_DECODING)
        datasets[f"evaluation_{i}"] = evaluation
        tables = {"greedy_answers": solved_and_lost.greedy_answers(scored)}
        if i:
            tables |= {"training_log": _training_log(), "examples": _examples(i)}
        datasets[f"record_{i}"] = Record(_record(i, datasets), tables)
    return datasets


def _examples(i: int) -> Table:
    row = {"iteration": i, "question_id": "train-00000", "question": "How many?", "completion": "it is 9"}
    return pd.DataFrame([row]).assign(sample_index=0, reward=1.0, reason="correct", kept=True)


def _record(i: int, datasets: dict[str, Any]) -> dict[str, Any]:
    evaluation = datasets[f"evaluation_{i}"]
    found: list[dict[str, Any]] = []
    if i:
        before, base = datasets[f"evaluation_{i - 1}"], datasets["evaluation_0"]
        watched = sentinels.Watched(evaluation, before, base, {}, {}, (1, _N_REPORT), seed=0)
        found = [dict(row) for row in sentinels.watch(watched, iteration=i).to_dict("records")]
    filtering = {"n_samples": 1000, "n_correct": 400, "n_kept": 300, "n_questions": 100, "n_questions_kept": 60}
    return {
        "format": FORMAT,
        "iteration": i,
        "policy": f"policy{i}",
        "parent": f"policy{i - 1}" if i else None,
        "base": "policy0",
        "model": "made up",
        "metrics": metrics.summarise_evaluation(evaluation, k=[1, 8, _N_REPORT], seed=0),
        "scoring": {"n": 1000, "by_reason": {"correct": 400, "wrong": 600}, "acceptance": 0.4},
        "filtering": filtering | {"dropped": {**dict.fromkeys(DROPPED, 0), "below_min_reward": 600, "repeated": 100}},
        "training": {},
        "sentinels": found,
        "cost": {"tokens_sampled": 1e6, "flops_sampling": 1e15},
        "parameters": {"sampling": {"n": 32}, "em": {"seed": 0}},
        "versions": {"python": platform.python_version()},
        "git_commit": "",
        "questions_digest": "digest",
    }


def _training_log() -> Table:
    steps = np.arange(1, 201)
    return pd.DataFrame(
        {
            "step": steps,
            "loss": 1 / steps,
            "validation_reward": np.linspace(0.2, 0.5, 200),
            "validation_loss": 1 / steps,
        }
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=5_000, help="of the evaluation")
    parser.add_argument("--samples", type=int, default=64, help="of each")
    parser.add_argument("--report-questions", type=int, default=1_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = evaluation_figures(Path(folder) / "one", arguments.questions, arguments.samples)
        figures |= report_figures(Path(folder) / "report", arguments.report_questions)
    names = ("numpy", "pandas", "matplotlib")
    result = {
        "benchmark": "evaluation",
        "ratios": {},
        "figures": figures,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

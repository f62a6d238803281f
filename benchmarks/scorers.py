"""How fast `reasoning_gym` judges in its sandbox, against calling scorers in a plain loop, where answers run code."""

import statistics
import time
from typing import Any

import reasoning_gym

from restem.rewards import load_reward

# Plain text for plain scorers, text that calls nothing for one that evaluates, and a process of its own per verdict.
TASKS = {
    "shared": ["chain_sum", "gcd", "knights_knaves", "n_queens", "jugs"],
    "fresh": ["intermediate_integration", "boxnet", "tower_of_hanoi"],
}


def _batch(task: str, size: int) -> list[dict[str, Any]]:
    entries = reasoning_gym.create_dataset(task, size=size, seed=1)
    return [
        {"question_id": f"{task}-{n}", "gold": {"answer": e["answer"], "task": task, "entry": e}}
        for n, e in enumerate(entries)
    ]


def _answers(questions: list[dict[str, Any]], seed: int) -> list[str]:
    """Return the right answers, every other one spoilt, no two alike."""
    return [f"{one['gold']['answer']}" + ("" if n % 2 else f" {seed}{n}") for n, one in enumerate(questions)]


def measure_reasoning_gym(size: int, repeats: int) -> dict[str, float]:
    """Return verdicts per second of each kind, and how many times as fast as the loop: medians of several batches."""
    found: dict[str, float] = {}
    with load_reward("reasoning_gym", workers=2) as reward:
        for kind, tasks in TASKS.items():
            questions = [question for task in tasks for question in _batch(task, size)]
            scorers = {task: reasoning_gym.get_score_answer_fn(task) for task in tasks}
            rates, ratios = [], []
            for seed in range(repeats + 1):
                answers = _answers(questions, seed)
                start = time.perf_counter()
                reward.score(questions, answers)
                middle = time.perf_counter()
                for question, answer in zip(questions, answers, strict=True):
                    scorers[question["gold"]["task"]](answer=answer, entry=question["gold"]["entry"])
                end = time.perf_counter()
                if seed:  # the workers have started
                    rates.append(len(questions) / (middle - start))
                    ratios.append((end - middle) / (middle - start))
            found[f"reasoning_gym_{kind}_verdicts_per_s"] = round(statistics.median(rates))
            found[f"reasoning_gym_{kind}_over_plain_loop"] = round(statistics.median(ratios), 3)
    found["reasoning_gym"] = found["reasoning_gym_shared_verdicts_per_s"]
    return found

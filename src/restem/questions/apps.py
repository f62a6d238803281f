"""APPS: 10,000 programming problems, introductory, interview and competition, half for training, half for tests.

Options: `path` and `hub` (restem.questions.public), and `levels` (a list; all by default). Columns: question,
input_output, and solutions, starter_code, difficulty and url. The release is a folder per problem under train and
test; the copy on the hub is JSONL with JSON inside. Problems without tests are left out.

A problem is judged by standard input and output, or by calls of the function that input_output names. The question
ends with the line that the authors' evaluation gives it, which says which. In the release the expected value of a call
may stand in a list of one: it is taken out if that is so in all tests of the problem, except for LeetCode's, which
are written as they are. Where that guess is wrong, the human solution fails and the question is quarantined.

Source: Hendrycks et al. 2021, https://arxiv.org/abs/2105.09938, https://github.com/hendrycks/apps (MIT).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record, Written

LEVELS = ("introductory", "interview", "competition")
# The authors' evaluation puts such lines before every program (and numpy, which ours does not promise): solutions
# rely on them, as those of LeetCode on List.
_IMPORTS = """\
import collections, fractions, functools, heapq, itertools, math, random, string, sys, time
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from functools import lru_cache
from heapq import *
from itertools import accumulate, combinations, permutations, product
from math import ceil, cos, exp, fabs, floor, gcd, log, log2, sin, sqrt, tan
from typing import Dict, List, Optional, Set, Tuple
"""
_STDIN_LINE, _CALL_LINE = "Use Standard Input format", "Use Call-Based format"


def read_problem_folders(folder: Path) -> list[Record]:
    """Return a record per folder of the original release: question.txt, input_output.json, solutions.json, ..."""
    records = []
    for problem in sorted(place for place in folder.iterdir() if place.joinpath("question.txt").is_file()):
        parts = {name: _text(problem / name) for name in ("question.txt", "input_output.json", "solutions.json")}
        records.append(
            {
                "question": parts["question.txt"],
                "input_output": parts["input_output.json"],
                "solutions": parts["solutions.json"],
                "starter_code": _text(problem / "starter_code.py"),
                **json.loads(_text(problem / "metadata.json") or "{}"),
            }
        )
    return records


LAYOUT = Layout(
    "apps",
    ("question", "input_output"),
    HubSet("codeparrot/apps", configurations=("all",), folders=True, revision="refs/convert/parquet"),
    own_options=("levels",),
    read_folder=read_problem_folders,
)


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    wanted = set(parameters.options.get("levels") or LEVELS)
    if wanted - set(LEVELS):
        raise QuestionsError(f"questions.options.levels: {min(wanted - set(LEVELS))!r} is none of {', '.join(LEVELS)}")
    dataset = read(parameters, LAYOUT)
    rows = (_row(record, split) for split, records in dataset.items() for record in records)
    return deal((row for row in rows if row is not None and row["level"] in wanted), parameters)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _row(record: Record, split: str) -> Row | None:
    tests = _parsed(record["input_output"]) or {}
    if not tests.get("inputs"):
        return None
    solutions = _parsed(record.get("solutions")) or []
    starter = str(record.get("starter_code") or "").rstrip()
    gold = _calls(tests, str(record.get("url") or "")) if tests.get("fn_name") else _scripts(tests)
    line = _CALL_LINE if tests.get("fn_name") else _STDIN_LINE
    return {
        "text": "\n\n".join(filter(None, [str(record["question"]).strip(), starter, line])),
        "gold": gold | {"prompt": _IMPORTS} | ({"solution": solutions[0]} if solutions else {}),
        "reward": "code",
        "level": str(record.get("difficulty") or ""),
        "source": LAYOUT.name,
        "split": split or str(record.get("split") or ""),
        "licence": "MIT",
    }


def _parsed(value: Any) -> Any:
    """Return what is JSON inside JSON on the hub and in the release, and plain in other copies."""
    return json.loads(value, parse_float=Written) if isinstance(value, str) and value.strip() else value


def _scripts(tests: Record) -> Record:
    pairs = zip(tests["inputs"], tests["outputs"], strict=True)
    return {"stdin_tests": [{"stdin": _lines(text), "stdout": _lines(wanted)} for text, wanted in pairs]}


def _lines(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _calls(tests: Record, url: str) -> Record:
    wanted = tests["outputs"]
    wrapped = "leetcode" not in url and all(isinstance(value, list) and len(value) == 1 for value in wanted)
    return {
        "entry_point": tests["fn_name"],
        "call_tests": [
            {"args": arguments, "expected": expected[0] if wrapped else expected}
            for arguments, expected in zip(tests["inputs"], wanted, strict=True)
        ],
    }

"""The rewards of this project: each says how good a completion is, from 0 to 1.

A reward is named where questions are: `questions.reward` in conf/mine/parameters.yml. Before anything is sampled it
must give 1 to the gold answer of every question, and 0 to a spoilt one.
"""

import re
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def last_number(question: dict[str, Any], completion: str) -> float:
    """Return 1 if the last number in a completion is the answer, otherwise 0."""
    numbers = _NUMBER.findall(completion.replace(",", ""))
    return float(bool(numbers) and Decimal(numbers[-1]) == Decimal(question["gold"]["answer"]))

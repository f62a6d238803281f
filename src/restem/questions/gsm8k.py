"""GSM8K: grade school mathematics, 7,473 training and 1,319 test questions.

Options: `path` and `hub` (restem.questions.public). Columns: question, answer, which ends in "#### 72". The level is
the number of steps of the human solution, whose calculator marks (<<48/2=24>>) are dropped: a policy without a
calculator would only learn to imitate them.

Source: Cobbe et al. 2021, https://arxiv.org/abs/2110.14168, https://github.com/openai/grade-school-math (MIT).
"""

import re
from collections.abc import Iterator

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record

LAYOUT = Layout("gsm8k", ("question", "answer"), HubSet("openai/gsm8k", configurations=("main",)))
_MARK = re.compile(r"<<[^<>]*>>")


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    dataset = read(parameters, LAYOUT)
    return deal((_row(record, split) for split, records in dataset.items() for record in records), parameters)


def _row(record: Record, split: str) -> Row:
    steps, marked, answer = _MARK.sub("", str(record["answer"])).rpartition("####")
    answer = answer.strip().replace(",", "")
    if not marked or not answer:
        raise QuestionsError(f'gsm8k: the answer to {record["question"][:60]!r} does not end in "#### <number>"')
    steps = steps.strip()
    n_steps = len([line for line in steps.splitlines() if line.strip()])
    return {
        "text": str(record["question"]).strip(),
        "gold": {"answer": answer, "solution": f"{steps}\n#### {answer}"},
        "reward": "math",
        "level": f"{n_steps} steps",
        "source": LAYOUT.name,
        "split": split,
        "licence": "MIT",
    }

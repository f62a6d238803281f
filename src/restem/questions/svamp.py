"""SVAMP: arithmetic word problems with small changes that trip a careless reader, 1,000 questions.

Options: `path` and `hub` (restem.questions.public). Columns: Body, Question, Answer, and Equation and Type. The
release is one file, SVAMP.json, without splits; the copy on the hub has 700 for training and 300 for tests.

Source: Patel et al. 2021, https://arxiv.org/abs/2103.07191, https://github.com/arkilpatel/SVAMP (MIT).
"""

from collections.abc import Iterator
from typing import Any

from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record

LAYOUT = Layout("svamp", ("Body", "Question", "Answer"), HubSet("ChilleD/SVAMP"))


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    dataset = read(parameters, LAYOUT)
    return deal((_row(record, split) for split, records in dataset.items() for record in records), parameters)


def _row(record: Record, split: str) -> Row:
    body, question = str(record["Body"]).strip(), str(record["Question"]).strip()
    stop = "" if body.endswith((".", "?", "!", ",")) else "."
    answer = _number(record["Answer"])
    gold = {"answer": answer}
    if record.get("Equation"):
        gold["solution"] = f"{record['Equation']} = {answer}\n#### {answer}"
    return {
        "text": f"{body}{stop} {question}",
        "gold": gold,
        "reward": "math",
        "level": str(record.get("Type") or ""),
        "source": LAYOUT.name,
        "split": split,
        "licence": "MIT",
    }


def _number(answer: Any) -> str:
    """Return "8" for 8.0: the release writes every answer as a float."""
    text = str(answer)
    return text.removesuffix(".0")

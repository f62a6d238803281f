"""HumanEval: 164 Python functions to complete from their signature and docstring.

Options: `path` and `hub` (restem.questions.public). Columns: task_id, prompt, entry_point, test, canonical_solution.
It is a test set; as `questions.source` it is dealt out into splits, as a transfer suite (`questions.transfer`) all of
it is evaluated.

Source: Chen et al. 2021, https://arxiv.org/abs/2107.03374, https://github.com/openai/human-eval (MIT).
"""

from collections.abc import Iterator

from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record

LAYOUT = Layout(
    "humaneval",
    ("task_id", "prompt", "entry_point", "test", "canonical_solution"),
    HubSet("openai/openai_humaneval", splits=("test",)),
)


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    dataset = read(parameters, LAYOUT)
    return deal((_row(record) for records in dataset.values() for record in records), parameters)


def _row(record: Record) -> Row:
    return {
        "text": record["prompt"],
        "gold": {
            "tests": record["test"],
            "entry_point": record["entry_point"],
            "prompt": record["prompt"],
            "solution": record["canonical_solution"],
        },
        "reward": "code",
        "source": LAYOUT.name,
        "split": "test",
        "licence": "MIT",
    }

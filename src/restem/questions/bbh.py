"""BIG-Bench Hard: 23 tasks (27 with their variants, 6,511 questions) on which language models fell behind people.

Options: `path` and `hub` (restem.questions.public), and `tasks` (a list of names; all by default). Columns: input and
target, and task where the file's name is not the task's. The release is a folder of one JSON file per task.

It is a test set without solutions; as a transfer suite (`questions.transfer`) it measures general capability.
Answers are compared by the reward "exact": letters as a choice, all else as text. Say where the answer stands with
`scoring.options.exact.extract`, as "answer_is,last_line".

Source: Suzgun et al. 2022, https://arxiv.org/abs/2210.09261, https://github.com/suzgunmirac/BIG-Bench-Hard (MIT).
"""

import re
from collections.abc import Iterator

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.places import FILE
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record

TASKS = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)
LAYOUT = Layout(
    "bbh",
    ("input", "target"),
    HubSet("lukaemon/bbh", splits=("test",), configurations=TASKS, folders=True, revision="refs/convert/parquet"),
    own_options=("tasks",),
)
_LETTER = re.compile(r"\([A-Z]\)")


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    wanted = set(parameters.options.get("tasks") or TASKS)
    if wanted - set(TASKS):
        raise QuestionsError(f"questions.options.tasks: {min(wanted - set(TASKS))!r} is none of {', '.join(TASKS)}")
    dataset = read(parameters, LAYOUT)
    rows = (_row(record) for records in dataset.values() for record in records)
    return deal((row for row in rows if row["level"] in wanted), parameters)


def _row(record: Record) -> Row:
    task = str(record.get("task") or record[FILE]).partition(".")[0]
    target = str(record["target"]).strip()
    kind = "choice" if _LETTER.fullmatch(target) else "string"
    return {
        "text": str(record["input"]).strip(),
        "gold": {"answer": target, "kind": kind},
        "reward": "exact",
        "level": task,
        "source": f"bbh/{task}",
        "split": "test",
        "licence": "MIT",
    }

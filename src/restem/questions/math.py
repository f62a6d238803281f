r"""Hendrycks MATH: competition mathematics in seven subjects and five levels, 7,500 training and 5,000 test problems.

Options: `path` and `hub` (restem.questions.public), `subjects` and `levels` (lists, all by default; subjects as
"Number Theory" or number_theory, levels 1 to 5), and `test_set`: "full" (default) or "math_500", the 500 test problems
of Lightman et al. 2023, which the hub has on their own; with a path, name its file as path.test instead. Columns:
problem, solution, and level and type (or subject), as in the folder of the original release, one JSON file per
problem. The gold is what the last \boxed{} of the solution holds, or the column answer where there is one. A problem
without is left out.

Source: Hendrycks et al. 2021, https://arxiv.org/abs/2103.03874 (MIT; the right to redistribute it is contested since
January 2025, so point to your own copy). MATH-500: Lightman et al. 2023, https://arxiv.org/abs/2305.20050.
"""

from collections.abc import Iterator
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.boxes import last_box
from restem.questions.dealing import deal
from restem.questions.places import Records
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record, as_text

SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
LEVELS = ("1", "2", "3", "4", "5")
LAYOUT = Layout(
    "math",
    ("problem", "solution"),
    HubSet("EleutherAI/hendrycks_math", configurations=SUBJECTS),
    own_options=("subjects", "levels", "test_set"),
)
MATH_500 = LAYOUT._replace(hub=HubSet("HuggingFaceH4/MATH-500", splits=("test",)))


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    options = parameters.options
    subjects = _checked("subjects", options.get("subjects"), SUBJECTS)
    levels = _checked("levels", options.get("levels"), LEVELS)
    rows = (_row(record, split) for split, records in _records(parameters).items() for record in records)
    chosen = (
        row
        for row in rows
        if row is not None
        and (subjects is None or row["source"].removeprefix("math/") in subjects)
        and (levels is None or row["level"].removeprefix("level ") in levels)
    )
    return deal(chosen, parameters)


def _records(parameters: QuestionsParameters) -> Records:
    test_set = parameters.options.get("test_set", "full")
    if test_set not in {"full", "math_500"}:
        raise QuestionsError(f"questions.options.test_set must be full or math_500, got {test_set!r}")
    dataset = read(parameters, LAYOUT)
    if test_set == "math_500":
        if parameters.options.get("path"):
            raise QuestionsError(
                "questions.options.test_set=math_500 goes with hub=true; with files, give the file of MATH-500 as "
                "questions.options.path.test"
            )
        dataset |= read(parameters, MATH_500)
    return dataset


def _checked(option: str, choice: Any, known: tuple[str, ...]) -> set[str] | None:
    if choice is None:
        return None
    wanted = {_plain(value) for value in (choice if isinstance(choice, (list, tuple)) else [choice])}
    unknown = wanted - set(known)
    if unknown:
        raise QuestionsError(f"questions.options.{option}: {min(unknown)!r} is none of {', '.join(known)}")
    return wanted


def _plain(value: Any) -> str:
    return str(value).lower().replace("&", "and").replace(" ", "_").removeprefix("level_")


def _row(record: Record, split: str) -> Row | None:
    answer = as_text(record.get("answer")) or last_box(str(record["solution"]))
    if answer is None:
        return None
    subject = _plain(record.get("type") or record.get("subject") or "")
    return {
        "text": str(record["problem"]).strip(),
        "gold": {"answer": answer, "solution": str(record["solution"]).strip()},
        "reward": "math",
        "level": f"level {_plain(record.get('level', ''))}",
        "source": f"math/{subject}" if subject else "math",
        "split": split,
        "licence": "MIT (contested)",
    }

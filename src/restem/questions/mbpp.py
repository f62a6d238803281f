"""MBPP: 974 basic Python problems with three tests each, or the 427 of them that were checked by hand.

Options: `path` and `hub` (restem.questions.public), and `subset`: "full" (default) or "sanitized", of the hub; of a
file, the columns tell. Columns: task_id, code, test_list, and text (full) or prompt (sanitized). The number of a task
decides over its split: 1 to 10 are exemplars, 11 to 510 test, 511 to 600 validation, 601 to 974 train, as the authors
have it.

The question shows its tests, as in the paper: without them nobody could know the function's name.

Source: Austin et al. 2021, https://arxiv.org/abs/2108.07732, https://github.com/google-research/google-research/tree/master/mbpp
(CC BY 4.0).
"""

import ast
import warnings
from bisect import bisect_left
from collections.abc import Iterator

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.dealing import deal
from restem.questions.public import HubSet, Layout, Row, read
from restem.questions.reading import Record

_HUB_SPLITS = ("train", "validation", "test", "prompt")
LAYOUT = Layout(
    "mbpp",
    ("task_id", "code", "test_list"),
    HubSet("google-research-datasets/mbpp", splits=_HUB_SPLITS),
    own_options=("subset",),
)
_LAST_TASKS = (10, 510, 600)
_SPLITS = ("exemplar", "test", "validation", "train")


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the rows of every split."""
    subset = parameters.options.get("subset", "full")
    if subset not in {"full", "sanitized"}:
        raise QuestionsError(f"questions.options.subset must be full or sanitized, got {subset!r}")
    dataset = read(parameters, LAYOUT._replace(hub=LAYOUT.hub._replace(configurations=(subset,))))
    return deal((_row(record) for records in dataset.values() for record in records), parameters)


def _row(record: Record) -> Row:
    task = int(record["task_id"])
    statement = str(record.get("text") or record.get("prompt") or "").strip()
    tests = [str(test).strip() for test in record["test_list"]]
    code = "\n".join(str(record["code"]).strip().splitlines())  # the release has Windows line ends
    before = [str(record.get("test_setup_code") or ""), *map(str, record.get("test_imports") or [])]
    shown = "\n".join(tests)
    return {
        "text": f"{statement} Your code should pass these tests:\n\n{shown}",
        "gold": {
            "tests": "\n".join([*filter(None, before), *tests]),
            "entry_point": function_under_test(code, tests[0]),
            "solution": code,
        },
        "reward": "code",
        "source": f"mbpp/{'full' if 'text' in record else 'sanitized'}",
        "split": _SPLITS[bisect_left(_LAST_TASKS, task)],
        "licence": "CC-BY-4.0",
    }


def function_under_test(code: str, test: str) -> str:
    """Return the name that the test calls and the code defines, or "" if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the release has patterns like "\\d" in plain strings
        defining, calling = ast.walk(ast.parse(code)), ast.walk(ast.parse(test))
    defined = {node.name for node in defining if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    called = [node.func.id for node in calling if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return next((name for name in called if name in defined), "")

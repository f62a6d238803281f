"""What the columns of a data set are likely to be, by their names and by what stands in them; shown, never used."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restem.questions.columns import ABSENT, Column, columns_in, is_chat, value_at
from restem.questions.extracting import NAMED
from restem.questions.options import PREFIX
from restem.questions.reading import Record, as_text
from restem.schemas import SPLITS

# In the order in which they are believed; compared without case, "_" and what a path has before its last dot.
_TEXTS = ("question", "problem", "query", "instruction", "prompt", "statement", "input", "text", "goal", "task", "q")
_ANSWERS = (
    "finalanswer",
    "final",
    "gold",
    "goldanswer",
    "groundtruth",
    "expectedanswer",
    "correctanswer",
    "answer",
    "answerkey",
    "target",
    "label",
    "a",
)
_SOLUTIONS = (
    "solution",
    "rationale",
    "reasoning",
    "explanation",
    "cot",
    "response",
    "output",
    "completion",
    "generation",
    "canonicalsolution",
)
_TESTS = ("testlist", "tests", "test", "testcases")
_LEVELS = ("level", "difficulty", "grade")
_MOST = 0.9  # of the golds in which a way to extract must find an answer to be believed
_LOOKED_AT = 200  # records
_LONGEST = 100  # characters of an answer that mathematics is guessed of


class Guess(NamedTuple):
    """What a data set is likely to want: some of the options of its source."""

    columns: dict[str, Any]
    extract: str | None
    reward: str

    def options(self) -> dict[str, Any]:
        """Return the options that differ from those of a data set that has our own columns."""
        own = {f: column for f, column in self.columns.items() if f != column or f == "messages"}
        reward = {} if self.reward == "exact" else {"reward": self.reward}
        return {**({"columns": own} if own else {}), **({"extract": self.extract} if self.extract else {}), **reward}


def guess(records: Sequence[Record]) -> Guess:
    """Return what the columns are likely to be; without a text or a gold where nothing looks like one."""
    found = columns_in(records)
    asked = _asked(found)
    left = [column for column in found if column.path not in asked.values()]
    tests = _named(_TESTS, left, "text", "list of text")
    if tests:
        solution = _named(("code", *_SOLUTIONS), left, "text")
        entry = _named(("entrypoint",), left, "text")
        parts = {"tests": tests, "entry_point": entry, "solution": solution}
        return Guess({**asked, "gold": {part: path for part, path in parts.items() if path}}, None, "code")
    golds, extract = _golds(left, records)
    answers = _answers(records, asked, golds)
    if not golds:
        extract = _way_in(answers)
    if extract:
        answers = [answer for text in answers if (answer := NAMED[extract](text))]
    levels = {"level": level} if (level := _named(_LEVELS, left, "text", "number")) else {}
    split = {"split": "split"} if _are_splits(records) else {}
    columns = {**asked, **golds, **levels, **split}
    return Guess(columns, extract, "math" if are_mathematics(answers) else "exact")


def _asked(found: Sequence[Column]) -> dict[str, str]:
    text = _named(_TEXTS, found, "text")
    chat = next((column.path for column in found if column.kind == "chat messages"), None)
    if text and not (chat and "." in text):
        return {"text": text}
    return {"messages": chat} if chat else {}


def _golds(left: Sequence[Column], records: Sequence[Record]) -> tuple[dict[str, Any], str | None]:
    """Return the column of golds, with that of solutions where both are there, and where in it the answer stands."""
    kinds = ("text", "number", "true or false", "object", "list of text", "list of number")
    answer, solution = _named(_ANSWERS, left, *kinds), _named(_SOLUTIONS, left, "text")
    gold = answer or solution
    if gold is None:
        return {}, None
    if next(column.kind for column in left if column.path == gold).startswith("list"):
        gold = f"{gold}.0"
    extract = _extract(records, gold)
    return {"gold": {"answer": gold, "solution": solution} if answer and solution and not extract else gold}, extract


def _named(names: Sequence[str], columns: Sequence[Column], *kinds: str) -> str | None:
    """Return the path of the first column that has one of the names and kinds; one that is not nested comes first."""
    usable = sorted((column for column in columns if column.kind in kinds), key=lambda column: column.path.count("."))
    plain: dict[str, str] = {}
    for column in usable:
        plain.setdefault(column.path.rpartition(".")[2].casefold().replace("_", "").replace(" ", ""), column.path)
    return next((plain[name] for name in names if name in plain), None)


def _texts(records: Sequence[Record], path: str) -> list[str]:
    values = (value_at(record, path) for record in records[:_LOOKED_AT])
    return [text for value in values if value is not ABSENT and (text := as_text(value))]


def _extract(records: Sequence[Record], path: str) -> str | None:
    return _way_in(_texts(records, path))


def _way_in(texts: Sequence[str]) -> str | None:
    counts = {way: sum(find(text) is not None for text in texts) for way, find in NAMED.items()}
    best = max(counts, key=lambda way: counts[way])
    return best if texts and counts[best] >= _MOST * len(texts) else None


def _answers(records: Sequence[Record], asked: Mapping[str, str], golds: Mapping[str, Any]) -> list[str]:
    """Return what stands in the column of golds, or where there is none what chats end with."""
    if not golds:
        return [_last_said(record, asked["messages"]) for record in records[:_LOOKED_AT]] if "messages" in asked else []
    gold = golds["gold"]
    return _texts(records, gold["answer"] if isinstance(gold, Mapping) else gold)


def _last_said(record: Record, path: str) -> str:
    chat = value_at(record, path)
    return str(chat[-1].get("content") or chat[-1].get("value") or "") if is_chat(chat) else ""


def are_mathematics(texts: Sequence[str]) -> bool:
    """Return whether nearly all of these answers are short, and hold a digit or LaTeX."""
    numeric = [text for text in texts if len(text) < _LONGEST and any(mark.isdigit() or mark in "\\$" for mark in text)]
    return bool(texts) and len(numeric) >= _MOST * len(texts)


def _are_splits(records: Sequence[Record]) -> bool:
    values = {record.get("split") for record in records}
    return values <= set(SPLITS) and {"train", "test"} <= values


def likely_extract(texts: Sequence[str]) -> str:
    """Return what to write instead of an `extract` that finds nothing in these."""
    way = _way_in(list(texts)[:_LOOKED_AT])
    return (
        f"{PREFIX}.extract={way} finds one"
        if way
        else f"leave {PREFIX}.extract out if the column holds bare answers, or give a pattern, as "
        "{pattern: 'answer is (.*)'}"
    )


def advice(records: Sequence[Record]) -> str:
    """Return the columns that were found, and what to write so that they are read."""
    found = columns_in(records)
    has = ", ".join(f"{column.path} ({column.kind})" for column in found)
    options = guess(records).options()
    if not {"text", "messages"} & options.get("columns", {}).keys() and not any(c.path == "text" for c in found):
        return (
            f"it has {has}. Say which holds the question and which the gold, under {PREFIX}:\n"
            "  columns: {text: ..., gold: ...}"
        )
    return f"it has {has}. It is likely to be this, under {PREFIX}:\n{as_yaml(options, indent=2)}"


def as_yaml(content: Mapping[str, Any], *, indent: int = 0, depth: int = 0) -> str:
    """Return YAML with a line per key.

    Args:
        content: What it says.
        indent: Spaces before each line.
        depth: Levels of mappings that are spread over lines; what is below them is in one.
    """
    import yaml

    before = " " * indent
    lines = []
    for name, value in content.items():
        if depth and isinstance(value, Mapping):
            lines.append(f"{before}{name}:\n{as_yaml(value, indent=indent + 2, depth=depth - 1)}")
        else:
            text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
            lines.append(f"{before}{name}: {text.removesuffix('...' + chr(10)).strip()}")
    return "\n".join(lines)

"""Sources of questions. Each is a small module with `load(parameters) -> rows`, in a table here.

A row is a dict with `text`, `gold` (a dict), `split`, and optionally `question_id`, `reward`, `level`, `source`,
`licence`, and `context`, the turns {role, content} of a chat that it follows. A user's own source is a dotted path to
such a function.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from restem.errors import QuestionsError, first_few
from restem.parameters import QuestionsParameters
from restem.questions.dealing import as_many_as_asked
from restem.questions.exemplars import read_exemplars
from restem.questions.likeness import asked, same_question
from restem.questions.options import OF_A_SUITE, asks_the_hub, check_options
from restem.questions.reading import PLACE, as_text
from restem.questions.turns import as_turns
from restem.schemas import MAJORITY, MEASURED, SPLITS
from restem.store.fingerprints import fingerprint
from restem.store.importing import import_function
from restem.store.tables import Table

__all__ = ["OF_A_SUITE", "asks_the_hub", "check_options", "check_source", "load_questions", "suite_of"]

Source = Callable[[QuestionsParameters], Iterable[Mapping[str, Any]]]

_SOURCES = {
    name: f"restem.questions.{name}:load"
    for name in (
        "reasoning_gym",
        "file",
        "hub",
        "gsm8k",
        "math",
        "svamp",
        "apps",
        "humaneval",
        "mbpp",
        "bbh",
    )
}


def load_questions(parameters: QuestionsParameters, *, limit: int | None = None) -> Table:
    """Return the `questions` table of the configured source and transfer suites.

    No question is in two of the splits that measure. Those that are in the training split too are found by
    `restem.questions.contamination`.

    Args:
        parameters: `questions`.
        limit: Most questions of a split and source that are taken, exemplars apart; `limits.questions`.

    Raises:
        QuestionsError: If the source is unknown, or what it gives is not a table of questions.
    """
    import pandas as pd

    records = [*_own_rows(parameters), *_transfer_rows(parameters)]
    rows = [_row(number, row, source=parameters.source) for number, row in enumerate(records, start=1)]
    if limit is not None:
        rows = _first(rows, limit)
    _check_splits(rows)
    unused = [PLACE] if any(row["context"] for row in rows) else [PLACE, "context"]
    return pd.DataFrame(rows).drop(columns=unused)


def _own_rows(parameters: QuestionsParameters) -> Iterator[Mapping[str, Any]]:
    # An overlay cannot take a key away, but it can set it to null.
    options = {name: value for name, value in parameters.options.items() if value is not None}
    parameters = replace(parameters, options=options)
    from_file = parameters.exemplars is not None
    wanted = replace(parameters, n_exemplars=0) if from_file else parameters
    for row in as_many_as_asked(_given_by(check_source(parameters.source), wanted), wanted):
        reward = (parameters.train_reward if row.get("split") == "train" else None) or parameters.reward
        yield {**row, **({"reward": reward} if reward else {})}
    yield from read_exemplars(parameters)


def _transfer_rows(parameters: QuestionsParameters) -> Iterator[Mapping[str, Any]]:
    """Yield the test questions of other sources, which are only measured, and the exemplars shown before them.

    An entry of `questions.transfer` is a suite with the options of its source, and what restem reads itself: `source`,
    by default the suite's name, n, n_exemplars and reward.
    """
    for name, entry in parameters.transfer.items():
        if entry is None:
            continue
        options = dict(entry)
        n, n_exemplars = options.pop("n", None), options.pop("n_exemplars", 0)
        source, reward = options.pop("source", name), options.pop("reward", None)
        wanted = replace(
            parameters,
            source=source,
            n_train=0,
            n_validation=0,
            n_test=n,
            n_exemplars=n_exemplars,
            options=options,
            transfer={},
        )
        judged_by = {"reward": reward} if reward else {}
        load = check_source(source, parameter=f"questions.transfer.{name}.source")
        try:
            rows = as_many_as_asked(_given_by(load, wanted), wanted)
        except QuestionsError as error:
            raise QuestionsError(_of_suite(error.message, name)) from error
        for number, row in enumerate(rows, start=1):
            if not row.get("gold"):
                place = row.get(PLACE, f"question {number}")
                raise QuestionsError(
                    f"questions.transfer.{name}: {place} has no gold to judge answers by; "
                    f"leave the suite out with questions.transfer.{name}=null"
                )
            split = "transfer" if row["split"] == "test" else row["split"]
            yield {**row, **judged_by, "source": _within(name, source, row), "split": split}


def _given_by(load: Source, parameters: QuestionsParameters) -> list[dict[str, Any]]:
    """Return the rows of a source.

    Raises:
        QuestionsError: If it gives no rows, as a function that returns nothing.
    """
    rows = load(parameters)
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
        raise QuestionsError(
            f"questions.source={parameters.source} must return or yield rows, dicts with text, gold and split, and "
            f"returned {type(rows).__name__}"
        )
    found = list(rows)
    other = next((row for row in found if not isinstance(row, Mapping)), None)
    if other is not None:
        raise QuestionsError(
            f"questions.source={parameters.source} must give rows, dicts with text, gold and split, and gave {other!r}"
        )
    return [dict(row) for row in found]


def _of_suite(message: str, name: str) -> str:
    """Return what is wrong with a source in the words by which a transfer suite was asked for."""
    suite = f"questions.transfer.{name}"
    in_suite = {"questions.options": suite, "questions.source": f"{suite}.source", "questions.n_test": f"{suite}.n"}
    for own, theirs in {**in_suite, "questions.n_exemplars": f"{suite}.n_exemplars"}.items():
        message = message.replace(own, theirs)
    return message


def _within(suite: str, source: str, row: Mapping[str, Any]) -> str:
    """Return the source of a row of a suite; of a suite with a name of its own, below that name."""
    own = str(row.get("source") or "")
    return own if suite == source and suite_of(own) == suite else f"{suite}/{own}".rstrip("/")


def _first(rows: list[dict[str, str]], limit: int) -> list[dict[str, str]]:
    """Return at most so many rows of every split and set; sources give them in an order of the seed."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for row in rows:
        key = row["split"], suite_of(row["source"])
        seen[key] += 1
        if row["split"] == "exemplar" or seen[key] <= limit:
            kept.append(row)
    return kept


def suite_of(source: str) -> str:
    """Return the name of the set that a source is of: "bbh" for bbh/navigate."""
    return source.partition("/")[0]


def check_source(name: str, *, parameter: str = "questions.source") -> Source:
    """Return the source of questions of this name, or of a dotted path; nothing is loaded.

    Raises:
        QuestionsError: If there is none, or the path names no function of the parameters.
    """
    path = _SOURCES.get(name, name)
    if ":" not in path:
        raise QuestionsError(
            f"{parameter} must be one of {', '.join(_SOURCES)}, or package.module:function, got {name!r}"
        )
    return import_function(path, parameter=parameter, error=QuestionsError, takes=1)


def _row(number: int, record: Mapping[str, Any], *, source: str) -> dict[str, str]:
    place = record.get(PLACE, f"question {number}")
    text, gold, split = record.get("text"), record.get("gold"), record.get("split")
    if not isinstance(text, str) or not text.strip():
        raise QuestionsError(f"{place} has no text")
    is_unlabelled = record.get("reward") == MAJORITY and split == "train"
    if gold is None and is_unlabelled:
        gold = {}
    if not isinstance(gold, Mapping) or not (gold or is_unlabelled):
        raise QuestionsError(f'{place} needs a gold like {{"answer": "42"}} or {{"tests": "..."}}, got {gold!r}')
    if split not in SPLITS:
        raise QuestionsError(f"{place}: split must be one of {', '.join(SPLITS)}, got {split!r}")
    if record.get("reward") == MAJORITY and split in MEASURED:
        raise QuestionsError(
            f"{place}: the reward {MAJORITY} has no ground truth, so it cannot judge {split} questions, by which "
            "policies are chosen or reported; give it to the split train alone"
        )
    gold_text = json.dumps(gold, sort_keys=True, ensure_ascii=False, default=_as_json)
    context = _context(record.get("context"), place)
    otherwise = {
        "question_id": fingerprint([text, gold_text, *filter(None, [context])]),
        "reward": "exact",
        "level": "",
        "source": source,
        "licence": "",
    }
    texts = {name: _either(record.get(name), instead) for name, instead in otherwise.items()}
    return {**texts, "text": text, "context": context, "gold": gold_text, "split": split, PLACE: place}


def _context(value: Any, place: str) -> str:
    """Return the turns that a question follows as JSON, "" if there are none."""
    if not value:
        return ""
    turns = json.loads(value) if isinstance(value, str) else value
    return json.dumps(as_turns(turns, place=f"{place}, context"), ensure_ascii=False)


def _either(value: Any, instead: str) -> str:
    """Return a value as text; a level of 0 is one, an empty text is none."""
    text = as_text(value)
    return text if text else instead


def _as_json(value: Any) -> Any:
    """Return what JSON has no word for as the text of it: dates, decimals, numbers of numpy."""
    return value.item() if hasattr(value, "item") else as_text(value)


def _check_splits(rows: list[dict[str, str]]) -> None:
    if not rows:
        raise QuestionsError("the source of questions gave none")
    seen: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["split"] not in MEASURED:
            continue
        first = seen.setdefault(same_question(row), row)
        if first["split"] != row["split"]:
            raise QuestionsError(
                f"the {first['split']} and {row['split']} splits share a question ({first[PLACE]}; {row[PLACE]}): "
                f"{row['text'][:80]!r}. A question that helps to choose the best policy must not also "
                "measure it, and no question may count twice: leave one of them out"
            )
    _check_ids(rows)
    missing = {"train", "test"} - {row["split"] for row in rows}
    if missing:
        needed = " and ".join(sorted(missing))
        raise QuestionsError(
            f"no question has split {' or '.join(sorted(missing))}: give some questions split {needed}, and leave "
            f"{' and '.join(f'questions.n_{split}' for split in sorted(missing))} above 0"
        )


def _check_ids(rows: list[dict[str, str]]) -> None:
    """Raise if a question is there twice, or two questions have one name."""
    places: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        places.setdefault(row["question_id"], []).append(row)
    repeated = [of_id for of_id in places.values() if len(of_id) > 1]
    if not repeated:
        return
    shown = first_few((" and ".join(row[PLACE] for row in of_id) for of_id in repeated), separator="; ")
    if all(asked(row) == asked(of_id[0]) for of_id in repeated for row in of_id):
        raise QuestionsError(f"{len(repeated)} questions are there more than once: {shown}; keep one of each")
    named = first_few(of_id[0]["question_id"] for of_id in repeated)
    raise QuestionsError(f"{len(repeated)} question_id values are not unique: {named} ({shown})")

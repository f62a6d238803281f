import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions

CHAIN_SUM = {"tasks": {"chain_sum": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}}}
GOOD = [
    {"text": "1 + 1?", "gold": "2", "split": "train"},
    {"text": "1 + 2?", "gold": "3", "split": "test"},
]


def small(**changes: Any) -> QuestionsParameters:
    return QuestionsParameters(**{"n_train": 20, "n_validation": 5, "n_test": 10, "options": CHAIN_SUM} | changes)


def from_file(path: Path, **options: Any) -> pd.DataFrame:
    return load_questions(QuestionsParameters(source="file", options={"path": str(path), **options}))


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_reasoning_gym_gives_the_asked_number_of_each_split_and_no_text_twice() -> None:
    table = load_questions(small())

    assert table["split"].value_counts().to_dict() == {"train": 20, "test": 10, "validation": 5, "exemplar": 2}
    assert table["text"].is_unique


def test_more_training_questions_leave_the_test_questions_as_they_were() -> None:
    few, many = load_questions(small()), load_questions(small(n_train=40))

    assert list(few.loc[few["split"] == "test", "text"]) == list(many.loc[many["split"] == "test", "text"])


def test_another_seed_gives_other_questions() -> None:
    assert set(load_questions(small())["text"]) != set(load_questions(small(seed=1))["text"])


def test_too_small_a_task_is_named() -> None:
    tiny = {"tasks": {"chain_sum": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}}}

    with pytest.raises(QuestionsError, match=r"chain_sum: .* only \d+ different questions"):
        load_questions(small(n_train=2000, options=tiny))


def test_task_that_a_constant_answer_wins_is_refused() -> None:
    with pytest.raises(QuestionsError, match="always answering"):
        load_questions(small(options={"tasks": {"syllogism": {}}}))


def test_unknown_task_is_named() -> None:
    with pytest.raises(QuestionsError, match="no_such_task"):
        load_questions(small(options={"tasks": {"no_such_task": {}}}))


def test_unknown_source_is_named() -> None:
    with pytest.raises(
        QuestionsError, match=r"reasoning_gym, file, hub, .*bbh, or package\.module:function, got 'web'"
    ):
        load_questions(QuestionsParameters(source="web"))


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.parquet"])
def test_every_file_format_gives_the_same_questions(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(GOOD)
    path = tmp_path / name
    writers = {
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".csv": lambda: frame.to_csv(path, index=False),
        ".parquet": lambda: frame.to_parquet(path),
    }
    writers[path.suffix]()

    table = from_file(path)

    assert list(table["text"]) == ["1 + 1?", "1 + 2?"]
    assert [json.loads(gold) for gold in table["gold"]] == [{"answer": "2"}, {"answer": "3"}]


def test_answers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("text,gold,split\na?,007,train\nb?,1e3,test\n")

    assert [json.loads(gold)["answer"] for gold in from_file(path)["gold"]] == ["007", "1e3"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "answer": "1"}], r"lacks column gold; it has text \(text\), answer \(text\)"),
        ([{**GOOD[0], "text": " "}, GOOD[1]], "q.jsonl, line 1 has no text"),
        ([{**GOOD[0], "gold": ""}, GOOD[1]], "q.jsonl, line 1 needs a gold"),
        ([{**GOOD[0], "gold": "{broken"}, GOOD[1]], "q.jsonl, line 1: gold is not valid JSON"),
        ([{**GOOD[0], "split": "dev"}, GOOD[1]], "q.jsonl, line 1: split must be one of"),
        ([{**row, "question_id": "same"} for row in GOOD], "1 question_id values are not unique: same"),
        ([*GOOD, {**GOOD[1], "split": "validation", "question_id": "v"}], "the test and validation splits share a"),
        ([GOOD[0]], "no question has split test"),
    ],
)
def test_bad_file_is_refused_with_the_reason(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(QuestionsError, match=message):
        from_file(jsonl(tmp_path / "q.jsonl", rows))


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match="there is no file"):
        from_file(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(QuestionsError, match=r"empty.jsonl"):
        from_file(tmp_path / "empty.jsonl")


def own_source(parameters: QuestionsParameters) -> list[dict[str, Any]]:
    return [{"text": f"{i}?", "gold": {"answer": str(i)}, "split": split} for i, split in enumerate(("train", "test"))]


def test_own_source_by_dotted_path() -> None:
    table = load_questions(QuestionsParameters(source=f"{__name__}:own_source"))

    assert list(table["text"]) == ["0?", "1?"]
    assert set(table["source"]) == {f"{__name__}:own_source"}


SPLITS_OF_FILE = [
    {"text": f"{split} {number}", "gold": {"answer": str(number)}, "split": split}
    for split, n in (("exemplar", 5), ("train", 9), ("validation", 4), ("test", 6))
    for number in range(n)
]
COUNTS = {"n_train": 7, "n_validation": 2, "n_test": 3, "n_exemplars": 2}


def own_rows(parameters: QuestionsParameters) -> Any:
    return SPLITS_OF_FILE


def own_nothing(parameters: QuestionsParameters) -> Any:
    [row for row in SPLITS_OF_FILE if row["split"] == "train"]


def own_texts(parameters: QuestionsParameters) -> Any:
    yield "1 + 1?"


@pytest.mark.parametrize("source", ["file", f"{__name__}:own_rows"])
def test_numbers_of_questions_mean_the_same_for_a_file_and_a_function(source: str, tmp_path: Path) -> None:
    options = {"path": str(jsonl(tmp_path / "q.jsonl", SPLITS_OF_FILE))} if source == "file" else {}

    first, again, other = (
        load_questions(QuestionsParameters(source=source, options=options, seed=seed, **COUNTS)) for seed in (0, 0, 1)
    )

    assert first["split"].value_counts().to_dict() == {"train": 7, "test": 3, "validation": 2, "exemplar": 2}
    assert first.equals(again)
    assert set(first["text"]) != set(other["text"])


def test_a_file_with_fewer_questions_than_asked_for_gives_all_it_has(tmp_path: Path) -> None:
    table = from_file(jsonl(tmp_path / "q.jsonl", GOOD))

    assert table["split"].value_counts().to_dict() == {"train": 1, "test": 1}


def test_a_transfer_suite_of_a_file_is_its_test_questions_as_many_as_asked_for(tmp_path: Path) -> None:
    mine = {"source": "file", "path": str(jsonl(tmp_path / "q.jsonl", SPLITS_OF_FILE)), "n": 4}

    table = load_questions(small(transfer={"mine": mine}))

    of_mine = table[table["source"].str.startswith("mine/")]
    assert of_mine["split"].tolist() == ["transfer"] * 4
    assert of_mine["text"].str.startswith("test ").all()


def test_what_is_wrong_with_a_transfer_suite_is_named_by_its_own_parameters(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=r"^questions\.transfer\.mine\.path: there is no file"):
        load_questions(small(transfer={"mine": {"source": "file", "path": str(tmp_path / "none.jsonl")}}))
    path = str(jsonl(tmp_path / "q.jsonl", GOOD))
    with pytest.raises(QuestionsError, match=r"^questions\.transfer\.mine\.odd is not an option of .*"):
        load_questions(small(transfer={"mine": {"source": "file", "path": path, "odd": 1}}))


@pytest.mark.parametrize("name", ["own_nothing", "own_texts"])
def test_a_source_of_ones_own_that_gives_no_rows_is_told_what_rows_are(name: str) -> None:
    with pytest.raises(QuestionsError, match=r"must (return or yield|give) rows, dicts with text, gold and split"):
        load_questions(QuestionsParameters(source=f"{__name__}:{name}"))

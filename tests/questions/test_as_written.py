"""Files of questions are read exactly as they are written."""

import datetime
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions

NUMBERS = ["5", "5.5", "11", "9007199254740993", "1e5", "5.50", "0.1000000000000000055", "1E400", "true"]
WORDS = ["NA", "None", "null", "nan", "N/A", "", "007", "-0", "+5", "½", "1,000", "True", " 5", "inf", "a, b", "[1, 2]"]
REST = {"text": "t?", "gold": "1", "split": "test"}


def load(path: Path) -> pd.DataFrame:
    """Return the training questions of a file, in order."""
    table = load_questions(
        QuestionsParameters(
            source="file", options={"path": str(path)}, n_train=None, n_validation=None, n_test=None, n_exemplars=0
        )
    )
    return table[table["split"] == "train"]


def answers(path: Path) -> list[str]:
    return [json.loads(gold)["answer"] for gold in load(path)["gold"]]


def lines(golds: list[str]) -> list[str]:
    """Return lines of JSON whose golds are these, as they stand here."""
    rows = [f'{{"text": "q{i}?", "gold": {gold}, "split": "train"}}' for i, gold in enumerate(golds)]
    return [*rows, json.dumps(REST)]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["q.jsonl", "q.json", "q.jsonl.gz"])
def test_every_gold_of_json_keeps_its_characters(tmp_path: Path, name: str, nested: bool) -> None:
    words = [word for word in WORDS if word.strip()]
    golds = [*NUMBERS, *map(json.dumps, words)]
    rows = lines([f'{{"answer": {gold}}}' if nested else gold for gold in golds])
    text = f"[{','.join(rows)}]" if name.endswith(".json") else "\r\n".join(rows)
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else b"\xef\xbb\xbf" + text.encode())

    assert answers(path) == [*NUMBERS, *words]


def test_every_gold_of_csv_keeps_its_characters(tmp_path: Path) -> None:
    golds = [gold for gold in [*NUMBERS, *WORDS] if gold]
    rows = "".join(f'q{i}?,"{gold}",train\n' for i, gold in enumerate(golds))
    path = tmp_path / "q.csv"
    path.write_text(f"text,gold,split\n{rows}t?,1,test\n")

    assert answers(path) == golds


@pytest.mark.parametrize(
    ("golds", "expected"),
    [
        (pa.array([2**63 - 1, 9007199254740993]), ["9223372036854775807", "9007199254740993"]),
        (pa.array([2**64 - 1, 0], pa.uint64()), ["18446744073709551615", "0"]),
        (pa.array([Decimal("5.50"), Decimal("100000.00")]), ["5.50", "100000.00"]),
        (pa.array([0.1, 5.0]), ["0.1", "5.0"]),
        (pa.array([0.1, 5.5], pa.float32()), ["0.1", "5.5"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([datetime.date(2024, 1, 31)] * 2), ["2024-01-31"] * 2),
        (pa.array(["NA", "None"]), ["NA", "None"]),
        (pa.array([{"answer": 5, "kind": None}, {"answer": 2**62, "kind": "number"}]), ["5", "4611686018427387904"]),
        (pa.array([[1, 2], [3]]), ["[1, 2]", "[3]"]),
    ],
)
def test_golds_of_typed_columns_are_exact(tmp_path: Path, golds: pa.Array, expected: list[str]) -> None:
    path = tmp_path / "q.parquet"
    rows = {"text": ["a?", "b?", "t?"], "split": ["train", "train", "test"]}
    pq.write_table(pa.table({**rows, "gold": pa.concat_arrays([golds, golds[:1]])}), path)

    assert answers(path) == expected


def test_other_keys_of_a_gold_keep_their_kind(tmp_path: Path) -> None:
    gold = {"entry_point": "add", "call_tests": [{"args": [1, 2.5, None], "expected": 3.5}], "n": 2**60}
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(lines([json.dumps(gold)])))

    assert json.loads(load(path)["gold"].iloc[0]) == gold


@pytest.mark.parametrize("name", ["q.csv", "q.jsonl"])
def test_every_other_column_is_text_as_written(tmp_path: Path, name: str) -> None:
    names = ["text", "gold", "split", "question_id", "level", "source", "licence"]
    rows = [
        ["NA", "1", "train", "007", "None", "null", "nan"],
        ["1e5", "1", "train", "1e5", "0", "1.50", "0"],
        ["t?", "1", "test", "9007199254740993", "", "", ""],
    ]
    path = tmp_path / name
    if name == "q.csv":
        path.write_text("\n".join(",".join(row) for row in [names, *rows]))
    else:
        path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))

    found = load(path)[["text", "question_id", "level", "source", "licence"]].to_numpy().tolist()
    assert found == [["NA", "007", "None", "null", "nan"], ["1e5", "1e5", "0", "1.50", "0"]]


def own_rows(parameters: QuestionsParameters) -> list[dict[str, Any]]:
    row = {"text": "a?", "gold": {"answer": Decimal("5.50")}, "split": "train", "question_id": 0, "level": 0}
    return [row, {**REST, "gold": {"answer": 2**60}}]


def test_nought_as_a_level_or_a_name_of_a_source_of_ones_own_stays() -> None:
    table = load_questions(QuestionsParameters(source=f"{__name__}:own_rows"))

    assert table[["question_id", "level"]].iloc[0].tolist() == ["0", "0"]
    assert [json.loads(gold)["answer"] for gold in table["gold"]] == ["5.50", 2**60]


def test_exemplars_keep_the_characters_of_their_solutions(tmp_path: Path) -> None:
    path = tmp_path / "shown.jsonl"
    path.write_text('{"text": 1, "answer": 0}\n{"text": "2?", "answer": 5.50}\n')
    asked = QuestionsParameters(source=f"{__name__}:own_rows", exemplars=str(path), n_exemplars=2)
    table = load_questions(asked)

    shown = table[table["split"] == "exemplar"]
    assert [json.loads(gold)["solution"] for gold in shown["gold"]] == ["0", "5.50"]


def test_answers_of_a_public_set_keep_their_characters(tmp_path: Path) -> None:
    boxed = json.dumps(r"\boxed{1}")
    rows = [f'{{"problem": "p{i}?", "solution": {boxed}, "answer": {gold}}}' for i, gold in enumerate(NUMBERS)]
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows).replace("?", f" {split}?"))
    asked = QuestionsParameters(
        source="math", options={"path": str(tmp_path)}, n_train=None, n_validation=0, n_test=None, n_exemplars=0
    )
    table = load_questions(asked)

    assert sorted({json.loads(gold)["answer"] for gold in table["gold"]}) == sorted(NUMBERS)


def broken_line(path: Path) -> None:
    path.write_text(lines(["1"])[0] + '\n{"text": "b?", gold\n')


def no_gold(path: Path) -> None:
    path.write_text("\n".join([*lines(["1"]), json.dumps({**REST, "text": "u?", "gold": ""})]))


def the_same_twice(path: Path) -> None:
    path.write_text("\n".join([*lines(["1"]), json.dumps(REST)]))


def one_key_twice(path: Path) -> None:
    path.write_text('{"text": "a?", "gold": 1, "gold": 2, "split": "train"}\n')


def not_a_number(path: Path) -> None:
    path.write_text('{"text": "a?", "gold": NaN, "split": "train"}\n')


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (broken_line, r"q\.jsonl cannot be read as \.jsonl: line 2, character 16: "),
        (no_gold, r"q\.jsonl, line 3 needs a gold"),
        (the_same_twice, r"1 questions are there more than once: q\.jsonl, line 2 and q\.jsonl, line 3"),
        (one_key_twice, r"line 1: one object says 'gold' twice"),
        (not_a_number, r"line 1: NaN is no JSON"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "q.jsonl"
    write(path)

    with pytest.raises(QuestionsError, match=message):
        load(path)


def test_a_line_of_csv_with_a_value_too_many_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("text,gold,split\na?,1,000,train\n")

    with pytest.raises(QuestionsError, match=r"line 2 has 4 values, and there are 3 columns"):
        load(path)


TWINS = [
    ("Café à 5 €?", "Cafe\u0301 a\u0300 5 €?"),  # composed and decomposed
    ("What is two plus two?", "What is\u200b two\u00a0plus  t\u00adwo?\ufeff"),
    ("add 12 and 34 now", "add \uff11\uff12 and \uff13\uff14 now"),  # full-width digits
    ("the office is shut", "the o\ufb03ce is shut"),  # a ligature
    ("is 한글 short", "is \u1112\u1161\u11ab\u1100\u1173\u11af short"),  # Hangul as jamo
    ("a smile \u263a here", "a smile \u263a\ufe0f here"),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_no_question_is_in_validation_and_test_in_another_encoding(tmp_path: Path, one: str, other: str) -> None:
    path = tmp_path / "q.jsonl"
    rows = [REST, {**REST, "split": "train", "text": "u?"}]
    rows += [{**REST, "text": one, "split": "validation"}, {**REST, "text": other}]
    path.write_text("\n".join(map(json.dumps, rows)))

    with pytest.raises(QuestionsError, match="the validation and test splits share a question"):
        load(path)


@pytest.mark.parametrize("twins", [("2\u00b2 =", "22 ="), ("x\u2082?", "x2?"), ("Is a big?", "Is A big?")])
def test_what_only_looks_alike_is_another_question(tmp_path: Path, twins: tuple[str, str]) -> None:
    path = tmp_path / "q.jsonl"
    rows = [{**REST, "text": twins[0], "split": "validation"}, {**REST, "text": twins[1]}, {**REST, "split": "train"}]
    path.write_text("\n".join(map(json.dumps, rows)))

    assert len(load(path)) == 1

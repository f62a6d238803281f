"""Sources in their original layouts: real files where there are some, rows in the same layout where there are none."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions
from restem.questions.boxes import last_box
from restem.questions.mbpp import function_under_test

Find = Callable[[str], Path]
ALL: dict[str, Any] = {"n_train": None, "n_validation": 0, "n_test": None, "n_exemplars": 0}


def loaded(source: str, path: Any, *, limit: int | None = None, **changes: Any) -> pd.DataFrame:
    options = {"path": path if isinstance(path, dict) else str(path), **changes.pop("options", {})}
    return load_questions(QuestionsParameters(source=source, options=options, **{**ALL, **changes}), limit=limit)


def golds(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(gold) for gold in table["gold"]]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def gsm8k_rows(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {i} + 1?", "answer": f"It is {i}+1 = <<{i}+1={i + 1}>>{i + 1}.\n#### {i + 1}"}
        for i in range(start, start + n)
    ]


@pytest.fixture
def gsm8k_folder(tmp_path: Path) -> Path:
    jsonl(tmp_path / "train.jsonl", gsm8k_rows(40))
    jsonl(tmp_path / "test.jsonl", gsm8k_rows(10, start=100))
    return tmp_path


def test_gsm8k_gold_is_the_number_and_the_solution_has_no_calculator_marks(gsm8k_folder: Path) -> None:
    jsonl(gsm8k_folder / "test.jsonl", [{"question": "Cost?", "answer": "a <<1*2=2>>2\n\nb\n#### 1,450"}])

    table = loaded("gsm8k", gsm8k_folder)
    (row,) = [gold for gold, split in zip(golds(table), table["split"], strict=True) if split == "test"]

    assert row == {"answer": "1450", "solution": "a 2\n\nb\n#### 1450"}
    assert set(table.loc[table["split"] == "test", "level"]) == {"2 steps"}


def test_validation_and_exemplars_are_carved_from_train_by_the_seed(gsm8k_folder: Path) -> None:
    first = loaded("gsm8k", gsm8k_folder, n_validation=5, n_exemplars=3)
    again = loaded("gsm8k", gsm8k_folder, n_validation=5, n_exemplars=3)
    other = loaded("gsm8k", gsm8k_folder, n_validation=5, n_exemplars=3, seed=1)

    assert first["split"].value_counts().to_dict() == {"train": 32, "test": 10, "validation": 5, "exemplar": 3}
    assert first["text"].is_unique
    assert list(first["text"]) == list(again["text"])
    assert set(first.loc[first["split"] == "exemplar", "text"]) != set(other.loc[other["split"] == "exemplar", "text"])


def test_order_of_the_file_changes_nothing(gsm8k_folder: Path) -> None:
    before = loaded("gsm8k", gsm8k_folder, n_validation=5)
    jsonl(gsm8k_folder / "train.jsonl", gsm8k_rows(40)[::-1])

    assert list(loaded("gsm8k", gsm8k_folder, n_validation=5)["text"]) == list(before["text"])


def test_fewer_training_questions_leave_the_other_splits_and_are_the_first_of_more(gsm8k_folder: Path) -> None:
    few = loaded("gsm8k", gsm8k_folder, n_train=10, n_validation=5)
    many = loaded("gsm8k", gsm8k_folder, n_train=20, n_validation=5)

    trained_on = [set(table.loc[table["split"] == "train", "text"]) for table in (few, many)]
    assert trained_on[0] < trained_on[1]
    assert list(few.loc[few["split"] != "train", "text"]) == list(many.loc[many["split"] != "train", "text"])


def test_every_file_format_and_place_gives_the_same_questions(gsm8k_folder: Path, tmp_path: Path) -> None:
    expected = list(loaded("gsm8k", gsm8k_folder)["text"])
    rows = {"train": gsm8k_rows(40), "test": gsm8k_rows(10, start=100)}
    other = tmp_path / "other"
    (other / "main").mkdir(parents=True)
    pd.DataFrame(rows["train"]).to_parquet(other / "train.parquet")
    (other / "test.json").write_text(json.dumps(rows["test"]))
    (other / "test.jsonl.gz").write_bytes(gzip.compress((gsm8k_folder / "test.jsonl").read_bytes()))
    for split, of_split in rows.items():  # as the hub keeps them
        pd.DataFrame(of_split).to_parquet(other / "main" / f"{split}-00000-of-00001.parquet")
    pd.DataFrame(rows["test"]).to_csv(other / "test.csv", index=False)

    for test_file in ("test.json", "test.jsonl.gz", "test.csv", "main/test-00000-of-00001.parquet"):
        path = {"train": str(other / "train.parquet"), "test": str(other / test_file)}
        assert list(loaded("gsm8k", path)["text"]) == expected
    for file in other.glob("t*"):
        file.unlink()
    assert list(loaded("gsm8k", other)["text"]) == expected


def test_limit_cuts_every_split_but_not_the_exemplars(gsm8k_folder: Path) -> None:
    table = loaded("gsm8k", gsm8k_folder, limit=4, n_validation=6, n_exemplars=5)

    assert table["split"].value_counts().to_dict() == {"exemplar": 5, "train": 4, "test": 4, "validation": 4}


def test_exemplars_can_come_from_a_file(gsm8k_folder: Path, tmp_path: Path) -> None:
    shown = jsonl(tmp_path / "shown.jsonl", [{"question": f"Q{i}", "target": f"A{i}"} for i in range(3)])

    table = loaded("gsm8k", gsm8k_folder, exemplars=str(shown), n_exemplars=2)
    exemplars = table[table["split"] == "exemplar"]

    assert list(exemplars["text"]) == ["Q0", "Q1"]
    assert golds(exemplars) == [{"solution": "A0"}, {"solution": "A1"}]
    assert (table["split"] == "train").sum() == 40


def test_transfer_sets_are_only_measured_and_bring_their_own_exemplars(gsm8k_folder: Path, tmp_path: Path) -> None:
    svamp = tmp_path / "SVAMP.json"
    svamp.write_text(json.dumps([svamp_row(i) for i in range(20)]))

    table = loaded("gsm8k", gsm8k_folder, transfer={"svamp": {"path": str(svamp), "n": 6, "n_exemplars": 2}})
    transferred = table[table["source"] == "svamp"]

    assert transferred["split"].value_counts().to_dict() == {"transfer": 6, "exemplar": 2}
    assert (table["split"] == "train").sum() == 40


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"problem": "1?", "solution": "1"}],
            "is not in the layout of gsm8k: looked for columns question, answer; record 1 has problem, solution",
        ),
        ([{"question": "1?", "answer": "one"}], 'does not end in "#### <number>"'),
        (
            [{"question": "1?", "answer": None}],
            r"record 1 has no answer \(it is null\), so its answers",
        ),
    ],
)
def test_another_layout_or_a_missing_gold_is_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(QuestionsError, match=message):
        loaded("gsm8k", jsonl(tmp_path / "train.jsonl", rows))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 1000}, "questions.n_train is 1000, but gsm8k has only 40 questions left"),
        ({"n_test": 11}, "questions.n_test is 11, but gsm8k has only 10"),
        ({"options": {"levels": [1]}}, "questions.options.levels is not an option of questions.source=gsm8k"),
    ],
)
def test_what_the_set_does_not_have_is_named(gsm8k_folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(QuestionsError, match=message):
        loaded("gsm8k", gsm8k_folder, **changes)


def test_no_place_a_missing_file_and_a_broken_line_are_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=r"needs questions\.options\.path.* or questions\.options\.hub=true"):
        load_questions(QuestionsParameters(source="gsm8k"))
    with pytest.raises(QuestionsError, match="there is no file"):
        loaded("gsm8k", tmp_path / "none.jsonl")
    with pytest.raises(QuestionsError, match="holds no gsm8k files"):
        loaded("gsm8k", tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"question": "1?", "answer": "#### 1"}\n{"question":\n')
    with pytest.raises(QuestionsError, match=r"bad\.jsonl cannot be read as \.jsonl: line 2"):
        loaded("gsm8k", tmp_path / "bad.jsonl")
    with pytest.raises(QuestionsError, match=r"path\.dev: a split is one of train, validation, test"):
        loaded("gsm8k", {"dev": "x"})


def test_unreachable_hub_says_how_to_give_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))

    with pytest.raises(QuestionsError, match=r"openai/gsm8k could not be had.*--params=questions\.options\.path=PATH"):
        load_questions(QuestionsParameters(source="gsm8k", options={"hub": True}))


def math_row(number: int, subject: str, level: int) -> dict[str, Any]:
    solution = rf"First $\boxed{{wrong}}$, then $x=\frac{{1}}{{{number}}}$, so $\boxed{{\frac{{1}}{{{number}}}}}$."
    return {"problem": f"Find {number}.", "level": f"Level {level}", "type": subject, "solution": solution}


@pytest.fixture
def math_folder(tmp_path: Path) -> Path:
    """The folder of the original release: one JSON file per problem, below split and subject."""
    for number in range(2, 42):
        split = "train" if number < 32 else "test"
        subject = ("Algebra", "Number Theory")[number % 2]
        folder = tmp_path / "MATH" / split / subject.lower().replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.json").write_text(json.dumps(math_row(number, subject, number % 5 + 1)))
    return tmp_path / "MATH"


def test_math_gold_is_the_last_box(math_folder: Path) -> None:
    table = loaded("math", math_folder)
    row = table[table["text"] == "Find 7."].iloc[0]

    assert json.loads(row["gold"])["answer"] == r"\frac{1}{7}"
    assert (row["level"], row["source"], row["split"]) == ("level 3", "math/number_theory", "train")
    assert table["split"].value_counts().to_dict() == {"train": 30, "test": 10}


def test_math_can_be_cut_to_subjects_and_levels(math_folder: Path) -> None:
    table = loaded("math", math_folder, options={"subjects": ["Number Theory"], "levels": [5]})

    assert set(table["source"]) == {"math/number_theory"}
    assert set(table["level"]) == {"level 5"}
    with pytest.raises(QuestionsError, match="'calculus' is none of algebra"):
        loaded("math", math_folder, options={"subjects": ["calculus"]})


def test_math_500_is_a_test_file_beside_the_training_folder(math_folder: Path, tmp_path: Path) -> None:
    row = {"problem": "New?", "solution": "...", "answer": "5", "subject": "Algebra", "level": 2, "unique_id": "t/1"}
    path = {"train": str(math_folder / "train"), "test": str(jsonl(tmp_path / "500.jsonl", [row]))}

    table = loaded("math", path)
    (test,) = table[table["split"] == "test"].to_dict("records")

    assert json.loads(test["gold"])["answer"] == "5"
    assert (test["level"], test["source"]) == ("level 2", "math/algebra")


@pytest.mark.parametrize(
    ("solution", "box"),
    [
        (r"so $\boxed{12}$.", "12"),
        (r"$\boxed{1}$ and $\boxed{\left\{1, 2\right\}}$", r"\left\{1, 2\right\}"),
        (r"$\fbox{\text{no}}$", r"\text{no}"),
        (r"$\boxed 7$ apples", "7"),
        ("no box", None),
        (r"$\boxed{broken", None),
    ],
)
def test_last_box_matches_braces(solution: str, box: str | None) -> None:
    assert last_box(solution) == box


def svamp_row(number: int) -> dict[str, Any]:
    return {
        "ID": f"chal-{number}",
        "Body": f"Each pack costs {number} dollars",
        "Question": "How much do 2 packs cost?",
        "Equation": f"( {number}.0 * 2.0 )",
        "Answer": 2.0 * number,
        "Type": "Multiplication",
    }


def test_svamp_in_one_piece_is_dealt_out(tmp_path: Path) -> None:
    path = tmp_path / "SVAMP.json"
    path.write_text(json.dumps([svamp_row(i) for i in range(30)]))

    table = loaded("svamp", path, n_test=10, n_validation=4, n_exemplars=2)

    assert table["split"].value_counts().to_dict() == {"train": 14, "test": 10, "validation": 4, "exemplar": 2}
    row = table[table["text"] == "Each pack costs 7 dollars. How much do 2 packs cost?"].iloc[0]
    assert json.loads(row["gold"]) == {"answer": "14", "solution": "( 7.0 * 2.0 ) = 14\n#### 14"}


def test_real_gsm8k_has_all_its_questions(real_data: Find) -> None:
    table = loaded("gsm8k", real_data("gsm8k"), n_validation=256, n_exemplars=8)

    assert table["split"].value_counts().to_dict() == {"train": 7209, "test": 1319, "validation": 256, "exemplar": 8}
    assert all(gold["answer"].lstrip("-").replace(".", "").isdigit() for gold in golds(table))
    assert not table["gold"].str.contains("<<", regex=False).any()


def test_real_mbpp_keeps_the_authors_splits(real_data: Find) -> None:
    table = loaded("mbpp", real_data("mbpp/mbpp.jsonl.gz"), n_validation=None, n_exemplars=3)
    gold = golds(table[table["text"].str.contains("remove_Occ")])[0]

    assert table["split"].value_counts().to_dict() == {"test": 500, "train": 374, "validation": 90, "exemplar": 3}
    assert gold["entry_point"] == "remove_Occ"
    assert "\r" not in gold["solution"]


def test_real_sanitized_mbpp_is_read_from_its_own_columns(real_data: Find) -> None:
    table = loaded("mbpp", real_data("mbpp/sanitized-mbpp.json.gz"), n_validation=None, n_exemplars=3)

    assert set(table["source"]) == {"mbpp/sanitized"}
    assert (table["split"] == "test").sum() == 257
    assert all(gold["entry_point"] for gold in golds(table))


def test_function_under_test_is_the_one_that_the_code_defines() -> None:
    code = "def helper(): ...\ndef similar(a, b): ..."

    assert function_under_test(code, "assert set(similar((1,), (1,))) == set((1,))") == "similar"
    assert function_under_test("x = 1", "assert f(1) == 1") == ""


def test_real_human_eval_is_dealt_out_or_measured_whole(real_data: Find) -> None:
    path = str(real_data("humaneval"))

    dealt = loaded("humaneval", path, n_test=50, n_validation=10)

    assert dealt["split"].value_counts().to_dict() == {"train": 104, "test": 50, "validation": 10}
    assert {"tests", "entry_point", "prompt", "solution"} == set(golds(dealt)[0])


def test_real_bbh_compares_letters_as_choices_and_the_rest_as_text(real_data: Find) -> None:
    table = loaded("bbh", real_data("bbh/bbh.jsonl.gz"), n_train=10, n_test=500)
    kinds = {row["level"]: json.loads(row["gold"])["kind"] for row in table.to_dict("records")}

    assert (kinds["date_understanding"], kinds["word_sorting"]) == ("choice", "string")


def test_bbh_in_a_folder_of_tasks_is_read_by_file_name(tmp_path: Path) -> None:
    for task in ("navigate", "snarks"):
        examples = [{"input": f"{task} {i}?", "target": "Yes"} for i in range(5)]
        (tmp_path / f"{task}.json").write_text(json.dumps({"canary": "...", "examples": examples}))

    table = loaded("bbh", tmp_path, n_test=3, options={"tasks": ["navigate"]})

    assert set(table["source"]) == {"bbh/navigate"}
    assert len(table) == 5


def test_real_apps_rows_are_scripts_or_calls(real_data: Find) -> None:
    table = loaded("apps", real_data("apps/apps_sample5.jsonl.gz"), n_test=2)
    by_way = {text.rpartition("\n")[2]: gold for text, gold in zip(table["text"], golds(table), strict=True)}

    assert set(by_way) == {"Use Standard Input format", "Use Call-Based format"}
    assert set(by_way["Use Standard Input format"]) == {"stdin_tests", "prompt", "solution"}
    assert set(by_way["Use Call-Based format"]) == {"call_tests", "entry_point", "prompt", "solution"}
    assert set(table["level"]) == {"introductory", "interview", "competition"}


def test_apps_expected_values_lose_the_list_around_them_unless_they_are_leetcode_s(real_data: Find) -> None:
    table = loaded("apps", real_data("apps/apps_sample5.jsonl.gz"), n_test=2)
    expected = {
        gold["entry_point"]: [case["expected"] for case in gold["call_tests"]]
        for gold in golds(table)
        if "call_tests" in gold
    }

    assert expected["is_prime"][:3] == [False, True, True]
    assert expected["findKthPositive"] == [9]


def test_apps_folder_of_the_original_release(tmp_path: Path) -> None:
    for number, split in enumerate(["train", "train", "test"]):
        folder = tmp_path / "APPS" / split / f"{number:04d}"
        folder.mkdir(parents=True)
        (folder / "question.txt").write_text(f"Print {number}.")
        (folder / "input_output.json").write_text(json.dumps({"inputs": [["1", "2"]], "outputs": ["3\n"]}))
        (folder / "solutions.json").write_text(json.dumps([f"print({number})"]))
        (folder / "metadata.json").write_text(json.dumps({"difficulty": "interview", "url": "https://x"}))

    table = loaded("apps", tmp_path / "APPS")

    assert table["split"].value_counts().to_dict() == {"train": 2, "test": 1}
    assert golds(table)[0]["stdin_tests"] == [{"stdin": "1\n2", "stdout": "3\n"}]

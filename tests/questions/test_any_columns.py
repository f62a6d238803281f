"""Files of any columns, in any place, as questions."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from restem.configuration.preflight import refuse_unusable
from restem.errors import ParameterError, QuestionsError
from restem.parameters import QuestionsParameters, ScoringParameters
from restem.questions import load_questions
from restem.questions.contamination import separate_near_duplicates
from restem.scoring.quarantine import quarantine_questions
from tests.builders import checked

Find = Any
SMALL = {"n_train": None, "n_validation": 2, "n_test": 4, "n_exemplars": 1}
MAPPED = {"text": "problem", "gold": "final_answer", "level": "difficulty"}


def problems(n: int, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        {"problem": f"What is {i} + 1?", "final_answer": str(i + 1), "difficulty": i % 3, **more}
        for i in range(start, start + n)
    ]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def loaded(path: Any, *, numbers: dict[str, Any] | None = None, seed: int = 0, **options: Any) -> pd.DataFrame:
    given = {"path": str(path) if isinstance(path, Path) else path, **options}
    return load_questions(QuestionsParameters(source="file", options=given, seed=seed, **(numbers or SMALL)))


def answers(table: pd.DataFrame) -> dict[str, str]:
    return {text: json.loads(gold)["answer"] for text, gold in zip(table["text"], table["gold"], strict=True)}


def test_columns_of_any_name_are_mapped_and_one_piece_is_dealt_by_the_seed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "q.jsonl", problems(30))

    table, again, other = (loaded(path, columns=MAPPED, seed=seed) for seed in (0, 0, 1))

    assert table["split"].value_counts().to_dict() == {"train": 23, "test": 4, "validation": 2, "exemplar": 1}
    assert answers(table) == {row["problem"]: row["final_answer"] for row in problems(30)}
    assert set(table["level"]) == {"0", "1", "2"}
    assert table.equals(again)
    assert set(table.loc[table["split"] == "test", "text"]) != set(other.loc[other["split"] == "test", "text"])


def test_dotted_paths_lead_into_objects_lists_and_json_in_texts(tmp_path: Path) -> None:
    rows = [
        {
            "task": {"statement": f"{i}?"},
            "reward_model": json.dumps({"ground_truth": [str(i), "other"]}),
            "a.b": {"c": f"level {i % 2}"},
        }
        for i in range(9)
    ]
    path = jsonl(tmp_path / "q.jsonl", rows)

    table = loaded(path, columns={"text": "task.statement", "gold": "reward_model.ground_truth.0", "level": "a.b.c"})

    assert answers(table) == {f"{i}?": str(i) for i in range(9)}
    assert set(table["level"]) == {"level 0", "level 1"}


@pytest.mark.parametrize(
    ("extract", "gold"),
    [
        ("boxed", "so \\boxed{1}, no: \\boxed{NUMBER}."),
        ("hashes", "Two steps.\n#### NUMBER\n"),
        ({"pattern": r"answer is (\d+)"}, "The answer is 9. I mean: the answer is NUMBER."),
        ({"pattern": r"\d+"}, "first 1 and then NUMBER"),
    ],
)
def test_the_answer_is_extracted_and_the_rest_is_its_solution(tmp_path: Path, extract: Any, gold: str) -> None:
    rows = [{"text": f"{i}?", "gold": gold.replace("NUMBER", str(i))} for i in range(10, 20)]

    table = loaded(jsonl(tmp_path / "q.jsonl", rows), extract=extract)

    assert answers(table) == {f"{i}?": str(i) for i in range(10, 20)}
    assert {json.loads(row)["solution"] for row in table["gold"]} == {row["gold"] for row in rows}


@pytest.mark.parametrize("reward", ["exact", "math"])
def test_a_gold_in_which_nothing_is_found_is_quarantined_and_never_an_exemplar(
    tmp_path: Path, reward: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": f"{i}?", "gold": f"\\boxed{{{i}}}" if i != 3 else "no box, 3"} for i in range(12)]

    for seed in range(3):
        table = loaded(jsonl(tmp_path / "q.jsonl", rows), extract="boxed", reward=reward, seed=seed)
        kept, quarantined = quarantine_questions(table, parameters=ScoringParameters())

        assert list(quarantined["text"]) == ["3?"]
        assert len(kept) == 11
    assert "1 of 12 golds hold no answer where extract looks: q.jsonl, line 4" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": {**MAPPED, "gold": "turns"}}, r"turns holds a list, .*name one of it, as turns\.0"),
        (
            {"columns": "problem"},
            r"options\.columns must say which column is what, as \{text: problem, .*got 'problem'",
        ),
        ({"columns": {**MAPPED, "split": "final_answer"}}, r"must be one of .*got '1'; .*write .*columns\.split=null"),
        ({}, r"lacks column text, gold; it has problem \(text\), final_answer \(text\), difficulty \(number\)"),
        ({"columns": {**MAPPED, "gold": "answer"}}, r"lacks column answer \(columns\.gold\)"),
        ({"columns": {**MAPPED, "level": "meta.x"}}, r"lacks column meta\.x \(columns\.level\)"),
        (
            {"columns": {**MAPPED, "txt": "problem"}},
            r"options\.columns\.txt is not a field of a question: they are text",
        ),
        ({"columns": {**MAPPED, "gold": ["a"]}}, r"options\.columns\.gold must name a column, got \['a'\]"),
        ({"columns": {**MAPPED, "messages": "problem"}}, "either text or messages"),
        ({"columns": {**MAPPED, "text": "nested"}}, r"line 1: columns\.text must be .* nested holds .*as nested\.x"),
        ({"columns": {**MAPPED, "text": "turns"}}, r"turns holds .*: name it as columns\.messages"),
        ({"columns": {"messages": "problem", "gold": "final_answer"}}, r"columns\.messages must be a column of turns"),
        (
            {"columns": MAPPED, "extract": "boxed"},
            r"extract finds an answer in 0 of 30 golds .*line 1 ends in '1'; leave",
        ),
        ({"columns": MAPPED, "extract": "box"}, r"options\.extract must be boxed, hashes or \{pattern: .*got 'box'"),
        (
            {"columns": MAPPED, "extract": {"pattern": "("}},
            r"options\.extract has a pattern that is no regular expression",
        ),
        ({"columns": MAPPED, "colums": {}}, r"options\.colums is not an option of questions\.source=file, which has"),
    ],
)
def test_wrong_columns_are_refused_with_those_that_are_there(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    rows = problems(30, nested={"x": "y"}, turns=[{"role": "user", "content": "hi"}])
    path = jsonl(tmp_path / "q.jsonl", rows)

    with pytest.raises(QuestionsError, match=message):
        loaded(path, **changed)


@pytest.mark.parametrize(
    "rows",
    [
        problems(12),
        [{"question": f"{i}?", "answer": f"steps\n#### {i}"} for i in range(12)],
        [{"problem": f"{i}?", "answer": str(i), "solution": f"it is {i}"} for i in range(12)],
        [
            {"prompt": [{"role": "user", "content": f"{i}?"}], "reward_model": {"ground_truth": str(i)}}
            for i in range(12)
        ],
        [{"Question": f"{i}?", "Correct Answer": f"word {i}"} for i in range(12)],
        [
            {"text": f"Double {i}.", "test_list": ["assert f(1) == 2"], "code": "def f(x): return 2 * x"}
            for i in range(12)
        ],
        [{"text": f"{i}?", "answers": {"text": [str(i)]}, "label": str(i)} for i in range(12)],
    ],
)
def test_the_yaml_of_the_message_reads_the_data_set_when_it_is_pasted(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    path = jsonl(tmp_path / "q.jsonl", rows)
    with pytest.raises(QuestionsError, match="It is likely to be this, under") as refused:
        loaded(path)
    pasted = yaml.safe_load(refused.value.message.partition("questions.options:\n")[2])

    table = loaded(path, **pasted)
    _, quarantined = quarantine_questions(table, parameters=ScoringParameters())

    assert len(table) == 12
    assert quarantined.empty


def test_real_gsm8k_and_mbpp_are_read_by_what_the_message_says(real_data: Find) -> None:
    for name, n in (("gsm8k", 8792), ("mbpp/mbpp.jsonl.gz", 970)):
        path = real_data(name)
        with pytest.raises(QuestionsError) as refused:
            loaded(path)
        pasted = yaml.safe_load(refused.value.message.partition("questions.options:\n")[2])

        table = loaded(path, numbers={**SMALL, "n_test": None if name == "gsm8k" else 4}, **pasted)

        assert len(table) == n  # four of MBPP's 974 ask the same as another


def test_splits_come_from_files_folders_or_a_column_and_missing_ones_are_carved(tmp_path: Path) -> None:
    jsonl(tmp_path / "by_file/train.jsonl", problems(20))
    jsonl(tmp_path / "by_file/test.jsonl", problems(6, start=100))
    for split, rows in (("train", problems(20)), ("test", problems(6, start=100))):
        jsonl(tmp_path / "by_folder" / split / "part-0.jsonl", rows)
    in_column = [{**row, "split": "train"} for row in problems(20)]
    in_column += [{**row, "split": "test"} for row in problems(6, start=100)]
    jsonl(tmp_path / "one.jsonl", in_column)
    named = {split: str(tmp_path / f"by_file/{split}.jsonl") for split in ("train", "test")}

    for path in (tmp_path / "by_file", tmp_path / "by_folder", named):
        table = loaded(path, columns=MAPPED)
        assert table["split"].value_counts().to_dict() == {"train": 17, "test": 4, "validation": 2, "exemplar": 1}
        assert table.loc[table["split"] == "test", "text"].str.contains("10").all()
    unread = loaded(tmp_path / "one.jsonl", columns={**MAPPED, "split": None})
    assert unread["split"].value_counts().to_dict() == {"train": 19, "test": 4, "validation": 2, "exemplar": 1}
    with pytest.raises(QuestionsError, match="the data set has the splits test and none to train on"):
        loaded({"test": str(tmp_path / "one.jsonl")}, columns=MAPPED)
    of_column = loaded(tmp_path / "one.jsonl", columns=MAPPED)
    assert of_column["split"].value_counts().to_dict() == {"train": 20, "test": 4}


def test_a_column_split_is_not_read_where_files_say_the_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        jsonl(tmp_path / f"{split}.jsonl", problems(20, start=100 if split == "test" else 0, split="dev"))

    assert (loaded(tmp_path, columns=MAPPED)["split"] == "test").sum() == 4


def test_globs_lists_compressed_files_and_urls_are_read(tmp_path: Path) -> None:
    from upath import UPath

    rows = problems(24)
    jsonl(tmp_path / "parts/a.jsonl", rows[:6])
    (tmp_path / "parts/b.jsonl.gz").write_bytes(gzip.compress(jsonl(tmp_path / "b", rows[6:12]).read_bytes()))
    pd.DataFrame(rows[12:18]).to_parquet(tmp_path / "parts/c.parquet")
    pd.DataFrame(rows[18:]).to_csv(tmp_path / "parts/d.csv", index=False)
    (tmp_path / "parts/README.md").write_text("no rows")
    (tmp_path / "parts/dataset_infos.json").write_text("{}")
    for file in (tmp_path / "parts").iterdir():
        UPath(f"memory://{tmp_path.name}/{file.name}").write_bytes(file.read_bytes())
    everything = answers(loaded(tmp_path / "parts", columns=MAPPED))
    each = [str(tmp_path / f"parts/{name}") for name in ("a.jsonl", "b.jsonl.gz", "c.parquet", "d.csv")]

    assert everything == {row["problem"]: row["final_answer"] for row in rows}
    url = f"memory://{tmp_path.name}"
    for path in (str(tmp_path / "parts/[a-d].*"), each, url, f"{url}/*", (tmp_path / "parts").as_uri()):
        assert answers(loaded(path, columns=MAPPED)) == everything
    assert set(loaded(f"{url}/c.parquet", columns=MAPPED, numbers={**SMALL, "n_test": 2})["source"]) == {"c.parquet"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/*.jsonl", r"path=none/\*\.jsonl: no file whose name ends in \.jsonl, .* matches"),
        ("memory://none/q.jsonl", "there is no file memory://none/q.jsonl"),
        ("nothing://bucket/q.jsonl", r"path=nothing://bucket/q\.jsonl could not be read \(ValueError"),
        ("http://127.0.0.1:9/q.jsonl", r"path=http://127\.0\.0\.1:9/q\.jsonl could not be read \(ClientConnectorError"),
        ([], "must name a .jsonl, .json, .csv or .parquet file, a folder, a glob or a URL, or several, got"),
        ({"dev": "q.jsonl"}, r"has a split 'dev', which must be one of train, validation, test"),
        (None, r"questions\.options\.path is missing"),
    ],
)
def test_a_place_that_holds_nothing_is_named(path: Any, message: str) -> None:
    with pytest.raises(QuestionsError, match=message):
        load_questions(QuestionsParameters(source="file", options={"path": path}))


def test_a_file_too_small_for_the_splits_asked_for_is_told_numbers_that_go(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "q.jsonl", problems(50))
    with pytest.raises(QuestionsError, match="has 50 questions in one piece, and ") as refused:
        loaded(path, columns=MAPPED, numbers={"n_train": 224})
    advised = dict(part.split("=") for part in refused.value.message.partition("--params=")[2].split(","))

    table = loaded(
        path, columns=MAPPED, numbers={name.removeprefix("questions."): int(n) for name, n in advised.items()}
    )

    assert table["split"].value_counts().to_dict() == {"train": 31, "test": 12, "validation": 5, "exemplar": 2}


def test_repeated_questions_of_one_piece_are_asked_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = loaded(jsonl(tmp_path / "q.jsonl", problems(20) + problems(5)), columns=MAPPED)

    assert len(table) == 20
    assert "5 of 25 questions are there more than once" in caplog.text


CHAT = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"from": "human", "value": "Think of a number."},
            {"role": "assistant", "content": f"It is {i}."},
            {"role": "user", "content": [{"type": "text", "text": "Double it."}]},
            {"role": "assistant", "content": f"That is \\boxed{{{2 * i}}}."},
        ]
    }
    for i in range(10)
]


def test_the_last_turn_of_the_user_is_the_question_and_the_answer_to_it_the_gold(tmp_path: Path) -> None:
    table = loaded(jsonl(tmp_path / "q.jsonl", CHAT), columns={"messages": "messages"}, extract="boxed")
    kept, duplicates = separate_near_duplicates(table, QuestionsParameters(near_duplicate_similarity=0.9))

    assert set(table["text"]) == {"Double it."}
    assert table["question_id"].is_unique
    assert (len(kept), len(duplicates)) == (10, 0)
    assert table["split"].value_counts().to_dict() == {
        "train": 4,
        "test": 4,
        "validation": 2,
    }  # no exemplar stands alone
    for context, gold in zip(map(json.loads, table["context"]), map(json.loads, table["gold"]), strict=True):
        assert [turn["role"] for turn in context] == ["system", "user", "assistant"]
        assert int(gold["answer"]) == 2 * int(context[-1]["content"].removeprefix("It is ").removesuffix("."))


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"role": "tool", "content": "4"}, "line 1, turn 2 is of role 'tool'"),
        ({"role": "user", "content": [{"type": "image", "image": "x"}]}, "turn 2 holds something else than text"),
    ],
)
def test_turns_that_no_policy_reads_are_named(tmp_path: Path, turn: dict[str, Any], message: str) -> None:
    rows = [{"messages": [{"role": "user", "content": f"{i}?"}, turn], "gold": "1"} for i in range(10)]

    with pytest.raises(QuestionsError, match=message):
        loaded(jsonl(tmp_path / "q.jsonl", rows), columns={"messages": "messages"})


def test_options_of_files_and_of_the_hub_are_checked_before_a_run_and_by_the_path_of_their_suite() -> None:
    wrong = checked(
        questions={
            "source": "hub",
            "options": {"dataset": "me/mine", "split": "x"},
            "transfer": {"mine": {"source": "file", "path": "q.jsonl", "extract": "box", "n": 3}},
        }
    )

    with pytest.raises(ParameterError) as refused:
        refuse_unusable(wrong)
    assert "questions.options.split is not an option of questions.source=hub" in refused.value.message
    assert "questions.transfer.mine.extract must be boxed, hashes or" in refused.value.message

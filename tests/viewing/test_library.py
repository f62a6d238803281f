from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restem.errors import DamageError, ExperimentError, LineageError, SelectionError, StorageError
from restem.viewing.index import index_of
from restem.viewing.library import Library
from restem.viewing.source import Source
from restem.viewing.words import words
from tests.builders import checked
from tests.conftest import Project
from tests.viewing.planted import FATES, Tables, opened, read, source, tables


@pytest.fixture
def library(index: Path) -> Iterator[Library]:
    made, _, _ = read(index)
    yield made
    made.close()


def found(library: Library, **filters: str) -> list[str]:
    return [row["question_id"] for row in library.page(filters, offset=0)["questions"]]


def drawn(library: Library, question: str, **filters: str) -> list[dict[str, Any]]:
    columns = library.question(question, filters)["columns"]
    return next(column["samples"] for column in columns if column["stage"] == "training")


def test_says_of_every_sample_what_became_of_it(library: Library) -> None:
    assert [row["fate"] for row in drawn(library, "train-1")] == FATES["train-1"]
    assert {row["fate"] for row in library.question("test-1", {})["columns"][0]["samples"]} == {None}


@pytest.mark.parametrize(
    ("filters", "questions"),
    [
        ({}, ["train-1", "train-2", "test-1", "test-2", "left-out"]),
        ({"split": "test"}, ["test-1", "test-2"]),
        ({"level": "hard", "split": "test"}, ["test-2"]),
        ({"verdict": "accepted"}, ["train-1", "test-1", "test-2"]),
        ({"verdict": "accepted", "iteration": "0"}, ["test-2"]),  # of the same sample
        ({"reason": "no_answer"}, ["train-2"]),
        ({"fate": "over_cap"}, ["train-1"]),
        ({"doubtful": "1"}, ["train-1"]),
        ({"doubtful": "1", "fate": "kept"}, []),
        ({"change": "newly solved"}, ["test-1"]),
        ({"change": "newly lost", "iteration": "1"}, ["test-2"]),
        ({"change": "newly lost", "iteration": "0"}, []),
        ({"search": "THREE"}, ["train-1"]),  # of a completion
        ({"search": "thr tw"}, ["train-1"]),  # cut short, in any order
        ({"search": "hree"}, []),
        ({"search": "creme \u82f9\u679c"}, ["train-2"]),
        ({"search": '"unbalanced* AND ('}, []),
        ({"search": "..."}, []),
        ({"search": "left-out"}, ["left-out"]),
        ({"mark": "any"}, []),
        ({"experiment": "another"}, []),
    ],
)
def test_filters_leave_the_questions_that_have_such_a_sample(
    library: Library, filters: dict[str, str], questions: list[str]
) -> None:
    assert found(library, **filters) == questions


@pytest.mark.parametrize("filters", [{"colour": "red"}, {"iteration": "first"}, {"iteration": "9" * 30}])
def test_a_filter_that_means_nothing_is_refused(library: Library, filters: dict[str, str]) -> None:
    with pytest.raises(SelectionError, match=next(iter(filters))):
        library.page(filters, offset=0)


def test_samples_that_match_come_first_and_are_counted(library: Library) -> None:
    rows = drawn(library, "train-1", reason="wrong")

    assert [row["matching"] for row in rows] == [1, 0, 0, 0, 0, 0]
    assert rows[0]["completion"] == "a 5"
    assert library.page({"reason": "wrong"}, offset=0)["n_samples"] == 2 + 4


def test_a_question_names_its_neighbours_among_those_that_filters_leave(library: Library) -> None:
    beside = library.question("train-1", {"verdict": "accepted"})
    outside = library.question("train-2", {"verdict": "accepted"})

    assert (beside["previous"], beside["place"], beside["next"]) == (None, 0, "test-1")
    assert (outside["previous"], outside["place"], outside["next"]) == ("train-1", None, "test-1")


def test_a_question_says_why_it_was_never_asked(library: Library) -> None:
    (row,) = library.question("left-out", {})["asked"]

    assert row["left_out"] == "unparseable_gold (quarantined_questions)"
    assert library.question("left-out", {})["columns"] == []


def test_an_unknown_question_is_named(library: Library) -> None:
    with pytest.raises(LineageError, match="no question 'train-9' among the 5 here"):
        library.question("train-9", {})


def test_experiments_stand_side_by_side_by_question(tmp_path: Path) -> None:
    both, _, _ = opened(tmp_path, source(tmp_path, "one"), source(tmp_path, "two", train_1="Another text"))
    question = both.question("train-1", {})

    assert [(column["experiment"], column["n"]) for column in question["columns"]] == [("one", 6), ("two", 6)]
    assert [row["text"] for row in question["asked"]] == ["What is train-1?", "Another text"]
    assert both.page({"experiment": "two"}, offset=0)["n_samples"] == 16
    both.close()


def test_an_experiment_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    running = tables(tmp_path)
    for name in ("policy_1", "iteration_1.training_set", "iteration_1.scored_evaluation_samples", "greedy_answers_1"):
        del running[name]
    running["iteration_1.samples"] = running.pop("iteration_1.scored_samples").narrowed(
        ["policy_id", "question_id", "suite", "decoding", "sample_index", "completion", "n_tokens", "finish_reason"]
    )
    library, _, _ = opened(tmp_path, Source(running, checked(experiment="running")))

    assert {row["verdict"] for row in drawn(library, "train-1")} == {"not judged"}
    assert found(library, verdict="not judged") == ["train-1", "train-2"]
    assert found(library, change="newly solved") == []
    library.close()


def test_an_experiment_without_samples_is_refused_with_what_to_run() -> None:
    with pytest.raises(ExperimentError, match=r"'e' has no samples to read yet; run this first: .*--pipelines=prepare"):
        Source(Tables(), checked())


def test_an_index_is_made_once_for_a_state_of_the_tables_and_anew_for_another(tmp_path: Path) -> None:
    one = source(tmp_path)
    first = index_of([one], tmp_path / "indexes")
    made_at = first.stat().st_mtime_ns
    again = index_of([source(tmp_path)], tmp_path / "indexes")
    other = index_of([Source(tables(tmp_path / "other"), checked(experiment="planted"))], tmp_path / "indexes")

    assert (again, again.stat().st_mtime_ns if again.exists() else made_at) == (first, made_at)
    assert list((tmp_path / "indexes").iterdir()) == [other]  # the filter has other rules


def test_an_index_that_is_cut_short_is_made_anew_and_a_place_that_takes_none_is_named(tmp_path: Path) -> None:
    made = source(tmp_path)
    file = index_of([made], tmp_path / "indexes")
    whole = file.stat().st_size
    file.write_bytes(file.read_bytes()[:100])

    assert index_of([made], tmp_path / "indexes").stat().st_size == whole
    (tmp_path / "in_the_way").touch()
    with pytest.raises(StorageError, match="in_the_way is in the way"):
        index_of([made], tmp_path / "in_the_way" / "indexes")


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    made = tables(tmp_path)
    table = made["iteration_1.scored_samples"]
    made["iteration_1.scored_samples"] = type(table)(table.files, digests={"scored.parquet": "0" * 16})

    with pytest.raises(DamageError, match=r"scored\.parquet is damaged"):
        index_of([Source(made, checked())], tmp_path / "indexes")
    assert list((tmp_path / "indexes").glob("*")) == []


def test_words_are_those_that_people_see() -> None:
    assert words("Caf\u00e9 \\frac{1}{2}, snake_case \u00bd\u4f60\u597d") == [
        "cafe", "frac", "1", "2", "snake", "case", "1", "2", "\u4f60", "\u597d",
    ]  # fmt: skip


def test_fates_add_up_to_what_the_filter_said_of_a_real_experiment(finished: Project, tmp_path: Path) -> None:
    catalog = finished.catalog()
    library, _, _ = opened(tmp_path, Source(catalog, checked(experiment="tiny")))

    for i in (1, 2):
        said = catalog.load(f"iteration_{i}.filtering_summary")
        counted = {fate: n for fate, n in _fates(library, i).items() if n}
        assert counted == {name: n for name, n in {"kept": said["n_kept"], **said["dropped"]}.items() if n}
    n = sum(len(catalog.load(f"iteration_{i}.scored_evaluation_samples")) for i in range(3))
    assert library.page({"stage": "evaluation"}, offset=0)["n_samples"] == n
    library.close()


def _fates(library: Library, i: int) -> dict[str, int]:
    return {
        fate: library.page({"iteration": str(i), "fate": fate}, offset=0)["n_samples"]
        for fate in library.about["fates"]
    }

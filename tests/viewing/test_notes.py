import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restem.datasets import MarksDataset
from restem.errors import DamageError, ExperimentError, LineageError, SelectionError
from restem.scoring.marks import Mark, summarise_marks
from restem.viewing.notes import Notes
from tests.viewing.planted import Kept, read

SAID = {
    "experiment": "planted",
    "question_id": "train-1",
    "iteration": 1,
    "stage": "training",
    "decoding": "sampled",
    "sample_index": 5,
    "policy_id": "policy0",
    "opinion": "right",
    "text": "it says 5 \u2028 and means 4",
    "who": "Ann",
}


def mark(**changed: Any) -> Mark:
    usual = {**SAID, "completion": "c", "reward": 1.0, "reason": "correct", "text": "", "when": "2026-01-01T00:00:00Z"}
    return Mark(**{**usual, **changed})


@pytest.fixture
def noted(index: Path) -> Iterator[tuple[Notes, Kept]]:
    library, notes, stores = read(index)
    yield notes, stores["planted"]
    library.close()


def test_a_mark_is_kept_with_the_verdict_that_it_is_on(noted: tuple[Notes, Kept]) -> None:
    notes, store = noted

    notes.add([json.dumps(SAID)])

    (kept,) = store.marks
    assert (kept.reward, kept.reason, kept.opinion, kept.text) == (0.0, "wrong", "right", SAID["text"])
    assert notes.counts() == {"right": 1, "any": 1}
    assert [said["who"] for said in notes.on("train-1")] == ["Ann"]


def test_a_reader_says_otherwise_and_takes_back(noted: tuple[Notes, Kept]) -> None:
    notes, store = noted

    for opinion in ("right", "wrong"):
        notes.add([json.dumps(SAID | {"opinion": opinion})])
    assert [said["opinion"] for said in notes.on("train-1")] == ["wrong"]
    notes.add([json.dumps(SAID | {"opinion": "", "text": ""})])

    assert notes.on("train-1") == []
    assert len(store.marks) == 3  # nothing is forgotten


def test_a_colleagues_marks_are_added_once(noted: tuple[Notes, Kept]) -> None:
    notes, store = noted
    lines = [json.dumps(SAID | {"when": "2026-02-03T04:05:06.789Z"})]

    notes.add(lines)
    notes.add(lines)

    assert [kept.when for kept in store.marks] == ["2026-02-03T04:05:06.789+00:00"]


@pytest.mark.parametrize(
    ("changed", "error", "named"),
    [
        ({"question_id": "train-9"}, LineageError, "train-9:5"),
        ({"sample_index": 77}, LineageError, "train-1:77"),
        ({"experiment": "another"}, LineageError, "another"),
        ({"completion": "0" * 16}, LineageError, "another by now"),
        ({"opinion": "splendid"}, SelectionError, "opinion"),
        ({"who": ""}, SelectionError, "who"),
        ({"text": "x" * 10_001}, SelectionError, "text"),
        ({"sample_index": "first"}, SelectionError, "sample_index"),
    ],
)
def test_marks_that_are_on_nothing_or_say_nothing_are_refused_whole(
    noted: tuple[Notes, Kept], changed: dict[str, Any], error: type[Exception], named: str
) -> None:
    notes, store = noted

    with pytest.raises(error, match=named):
        notes.add([json.dumps(SAID), json.dumps(SAID | changed)])
    assert store.marks == []


@pytest.mark.parametrize("line", ["", "null", "[1]", "{", "\x00"])
def test_what_is_no_json_object_is_refused(noted: tuple[Notes, Kept], line: str) -> None:
    with pytest.raises(SelectionError, match="mark 1 cannot be kept"):
        noted[0].add([line])


def test_several_readers_add_to_one_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "marks.jsonl"
    MarksDataset(filepath=str(file)).save([])
    writers = [
        threading.Thread(target=MarksDataset(filepath=str(file)).save, args=([mark(who=f"{i}", text="x" * 9000)] * 3,))
        for i in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(said.who for said in MarksDataset(filepath=str(file)).load()) == sorted("01234567" * 3)


def test_a_torn_line_is_named_and_what_is_added_after_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "marks.jsonl"
    dataset = MarksDataset(filepath=str(file))
    dataset.save([mark()])
    file.write_bytes(file.read_bytes() + b'{"experiment": "pl')
    dataset.save([mark(who="Bo")])

    with pytest.raises(DamageError, match=r"line 2 of .*marks\.jsonl is no mark"):
        dataset.load()
    file.write_bytes(b"\n".join(file.read_bytes().splitlines()[::2]))
    assert [said.who for said in dataset.load()] == ["Ann", "Bo"]


def test_an_object_store_takes_no_marks() -> None:
    dataset = MarksDataset(filepath="s3://bucket/marks.jsonl")

    assert (dataset.load(), dataset.is_writable) == ([], False)
    with pytest.raises(ExperimentError, match="s3://"):
        dataset.save([mark()])


def test_marks_are_counted_against_verdicts_by_iteration() -> None:
    rejected = {"reward": 0.5, "reason": "wrong"}
    said = [
        mark(sample_index=0),
        mark(sample_index=1, opinion="wrong"),
        mark(sample_index=2, opinion="wrong"),
        mark(sample_index=2, opinion="right", who="Bo"),  # they disagree
        mark(sample_index=3, opinion="doubtful"),
        mark(sample_index=4, **rejected),
        mark(sample_index=5, opinion="wrong", **rejected),
        mark(sample_index=6, opinion="wrong", when="2026-01-02T00:00:00Z"),
        mark(sample_index=6, opinion="right", when="2026-01-03T00:00:00Z"),  # the last counts
        mark(sample_index=7, opinion="", text="a comment is no opinion"),
        mark(sample_index=8, reward=None, reason=None),  # nothing to agree with
        mark(sample_index=0, iteration=2, opinion="wrong"),
    ]

    first, second = summarise_marks(said).values()

    assert {name: n for name, n in first.items() if isinstance(n, int)} == {
        "n_readers": 2, "n_samples": 7, "accepted_right": 2, "accepted_wrong": 1, "rejected_right": 1,
        "rejected_wrong": 1, "n_doubtful": 2,
    }  # fmt: skip
    assert first["wrong_among_accepted"]["value"] == pytest.approx(1 / 3)
    assert first["wrong_among_accepted"]["low"] == pytest.approx(0.0615, abs=1e-3)
    assert first["right_among_rejected"]["value"] == pytest.approx(1 / 2)
    assert (second["accepted_wrong"], second["right_among_rejected"]) == (1, None)
    assert summarise_marks([]) == {}

"""Damaged files and clocks that were set back: nothing that is not what was saved is believed."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from restem.datasets.versions import DatasetFault
from restem.errors import DamageError, PolicyError, RestemError
from restem.policies.base_models import prepare_base_model
from restem.store.fingerprints import file_fingerprint, folder_fingerprint
from restem.store.journal import Journal
from restem.training.workplace import Course, Workplace
from tests.conftest import Project
from tests.sampling.drawing import scripted

N_PLACES = 3  # in every file


@contextmanager
def flipped(file: Path, place: int) -> Iterator[None]:
    """Turn one bit of the file over, in the file itself, as a disk does."""
    content = file.read_bytes()
    wrong = bytearray(content)
    wrong[place // 8] ^= 1 << place % 8
    file.write_bytes(wrong)
    try:
        yield
    finally:
        file.write_bytes(content)


def places(file: Path) -> list[int]:
    size = 8 * file.stat().st_size
    return sorted(random.Random(file.name).sample(range(size), k=min(N_PLACES, size)))


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern))


SINGLE = {
    "questions": "03_primary/tiny/questions.parquet",
    "prompts": "03_primary/tiny/prompts.parquet",
    "questions_summary": "08_reporting/tiny/questions_summary.json",
    "evaluation_1": "07_model_output/tiny/iteration_1/evaluation.parquet",
    "training_log_1": "08_reporting/tiny/iteration_1/training_log.csv",
    "iteration_1.filtering_summary": "08_reporting/tiny/iteration_1/filtering_summary.json",
}
SHARDED = {
    "iteration_1.samples": "07_model_output/tiny/iteration_1/samples",
    "iteration_1.scored_samples": "07_model_output/tiny/iteration_1/scored_samples",
    "iteration_1.training_set": "05_model_input/tiny/iteration_1/training_set",
    "kept_1": "05_model_input/tiny/iteration_1/kept",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SINGLE)
def test_a_flipped_bit_of_a_file_is_named(copied: Project, name: str) -> None:
    place = copied.folder / "data" / SINGLE[name]
    file = newest(place, f"*/{place.name}")
    catalog = copied.catalog()
    catalog.load(name)

    for bit in places(file):
        with flipped(file, bit), pytest.raises(DatasetFault, match=rf"{file.name} is damaged.*Remove .*kedro run"):
            catalog.load(name)
    catalog.load(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARDED)
def test_a_flipped_bit_of_a_shard_or_a_shard_too_few_or_too_many_is_named(copied: Project, name: str) -> None:
    place = copied.folder / "data" / SHARDED[name]
    folder = newest(place, f"*/{place.name}")
    catalog = copied.catalog()
    read: list[Callable[[], Any]] = [
        lambda: catalog.load(name).to_pandas(),
        lambda: catalog.load(name)["question_id"],
        lambda: len(catalog.load(name)),
        lambda: catalog.load(name).fingerprints(),
    ]

    for file in folder.iterdir():
        for number, bit in enumerate(places(file)):
            with flipped(file, bit), pytest.raises(RestemError, match="is damaged"):
                read[number % len(read)]()
    shard = folder / "00000.parquet"
    shutil.copy(shard, folder / "00099.parquet")
    with pytest.raises(DatasetFault, match=r"saved without, 00099\.parquet"):
        catalog.load(name)
    (folder / "00099.parquet").unlink()
    shard.rename(folder / "gone")
    with pytest.raises(DatasetFault, match=r"it lacks 00000\.parquet"):
        catalog.load(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["policy_0", "policy_1"])
def test_a_flipped_bit_of_a_policy_is_named_before_it_samples(copied: Project, name: str) -> None:
    catalog = copied.catalog()
    policy = catalog.load(name)
    for part in ("model.safetensors", "tokenizer.json", "config.json"):
        file = policy.folder / part
        for bit in places(file):
            with flipped(file, bit), pytest.raises(PolicyError, match=rf"{part} is damaged: its fingerprint was"):
                catalog.load(name).unchanged()
    record = newest(copied.folder / f"data/06_models/tiny/iteration_{name[-1]}/policy", "*/policy/policy.json")
    for bit in places(record):
        with flipped(record, bit), pytest.raises(DatasetFault, match=r"policy\.json is damaged"):
            catalog.load(name)
    assert catalog.load(name).unchanged() == policy


def test_a_damaged_shard_of_the_journal_is_drawn_again_and_no_other(tmp_path: Path) -> None:
    first = scripted(tmp_path, n_questions=14)
    content = {file: file.read_bytes() for file in first.files}
    damaged = first.files[1]

    for bit in places(damaged):
        before = {file: file.stat().st_mtime_ns for file in first.files}
        wrong = bytearray(content[damaged])
        wrong[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(wrong)
        again = scripted(tmp_path, n_questions=14)
        assert {file: file.read_bytes() for file in again.files} == content
        assert [file for file in again.files if file.stat().st_mtime_ns != before[file]] == [damaged]


def test_a_shard_without_its_digest_is_drawn_again(tmp_path: Path) -> None:
    first = scripted(tmp_path, n_questions=6)
    (first.files[0].parent / f".{first.files[0].name}.digests").write_text("")
    before = first.files[0].stat().st_mtime_ns

    assert scripted(tmp_path, n_questions=6).files[0].stat().st_mtime_ns != before


def test_a_damaged_built_in_model_is_made_again(tmp_path: Path) -> None:
    policy = prepare_base_model("builtin:tiny", store=Journal(tmp_path))
    weights = policy.folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    again = prepare_base_model("builtin:tiny", store=Journal(tmp_path))

    assert (again, folder_fingerprint(again.folder)) == (policy, policy.fingerprint)
    assert weights.read_bytes() == content


def test_training_does_not_go_on_from_a_damaged_checkpoint(tmp_path: Path) -> None:
    def saved() -> Workplace:
        place = Workplace(tmp_path / "unfinished", checkpoint_every_s=0)
        for name, folder in (("weights", place.candidate(3)), ("optimizer", place.scratch)):
            folder.mkdir()
            (folder / name).write_bytes(bytes(100))
        place.keep(3)
        place.publish_checkpoint(place.scratch, 3, Course(best_step=3))
        return place

    for part in ("weights-00000003/weights", "checkpoint-00000003/optimizer", "checkpoint-00000003/course.json"):
        place = saved()
        place.clear_unfinished()
        assert place.checkpoint() is not None
        file = place.folder / part
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
        place.clear_unfinished()
        assert (place.checkpoint(), list(place.folder.iterdir())) == (None, [])


def test_a_damaged_text_of_the_journal_is_refused_with_what_to_do(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", seed=1)
    entry.write_text("log.json", "[]").write_text("[1]")

    remedy = f"restem journal prune --yes --entry {entry.folder.name}"
    with pytest.raises(DamageError, match=rf"log\.json is damaged.*{remedy}"):
        entry.read_text("log.json")


def test_a_damaged_width_of_the_journal_is_refused_with_what_to_do(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("samples", seed=1)
    entry.write_first("width", "32")
    file = entry.path("width") / "text"

    for bit in places(file):
        with flipped(file, bit), pytest.raises(DamageError, match=r"text is damaged.*restem journal prune"):
            entry.read_first("width")
    assert entry.read_first("width") == "32"


def test_a_file_is_read_once_for_its_digest_in_a_process(tmp_path: Path) -> None:
    table = scripted(tmp_path, n_questions=6)
    time.sleep(0.15)  # what was written this moment could change within a tick of the clock
    table.fingerprints()
    opened: list[str] = []

    import sys

    sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
    table.fingerprints()

    assert not [name for name in opened if name.endswith(".parquet")]


def test_another_content_under_the_same_time_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"before")
    time.sleep(0.15)
    before, state = file_fingerprint(file), file.stat()

    file.write_bytes(b"behind")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))

    assert file_fingerprint(file) != before


def versions(project: Project) -> set[str]:
    return {path.name for path in (project.folder / "data").rglob("20??-??-??T*Z")}


@pytest.mark.slow
def test_a_run_after_the_clock_was_set_back_uses_what_it_saved_and_a_later_one_says_so(project: Project) -> None:
    project.run("prepare")
    (old,) = versions(project)
    before = len(project.catalog().load("questions"))
    ahead = "2199-01-01T00.00.00.000Z"
    # What the run reads before it starts stays as it is: that would be refused at once.
    rename = ["find", "data/03_primary", "-depth", "-name", old, "-execdir", "mv", "{}", ahead, ";"]
    subprocess.run(rename, check=True)

    project.run("prepare", questions__n_train=8)

    saved = max((project.folder / "data/03_primary/tiny/questions.parquet").iterdir())
    assert saved.name > ahead  # the newest by name is what was saved last
    with pytest.raises(DatasetFault, match=r"dated in the future: it is .*find ") as refused:
        project.catalog().load("questions")
    with pytest.raises(DatasetFault, match="dated in the future"):
        project.run("baseline")
    subprocess.run(str(refused.value).split("oldest first: ")[1], shell=True, check=True)
    now = project.catalog().load("questions")
    assert len(now) < before
    assert (now["split"] == "train").sum() <= 8
    assert set(project.catalog().load("prompts")["question_id"]) <= set(now["question_id"])

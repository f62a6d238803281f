"""Folders that hold several files as one dataset: the record of an iteration, and the figures of a report."""

import base64
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import Version
from PIL import Image

from restem.datasets import FiguresDataset, RecordDataset
from restem.datasets.versions import DatasetFault
from restem.errors import RestemError
from restem.store.records import Record
from restem.store.tables import ShardedTable, write_shard

V1 = Version(None, "2026-01-01T00.00.00.000Z")
LOG = pd.DataFrame({"step": [1, 2], "loss": [0.5, None]})


def kept(folder: Path) -> ShardedTable:
    files = [folder / "a.parquet", folder / "b.parquet"]
    for file, names in zip(files, (["q1", "q2"], ["q3"]), strict=True):
        write_shard(pd.DataFrame({"question_id": names}), file)
    return ShardedTable(files)


def png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(stream, format="png")
    return stream.getvalue()


def saved_record(folder: Path) -> RecordDataset:
    dataset = RecordDataset(filepath=str(folder / "record"), version=V1)
    content = {"iteration": 1, "metrics": {"test/pass_at_1": {"value": 0.5}}}
    dataset.save(Record(content, {"kept": kept(folder), "training_log": LOG, "nothing": ShardedTable([])}))
    return dataset


def saved_figures(folder: Path) -> FiguresDataset:
    dataset = FiguresDataset(filepath=str(folder / "figures"), version=V1)
    dataset.save({"a.png": png("red"), "a.svg": b"<svg/>", "b.png": png("blue"), "c.png": png("green")})
    return dataset


def test_a_record_comes_back_with_its_tables(tmp_path: Path) -> None:
    record = saved_record(tmp_path).load()

    assert record == {"iteration": 1, "metrics": {"test/pass_at_1": {"value": 0.5}}}
    pd.testing.assert_frame_equal(record.table("training_log"), LOG)
    assert [list(shard["question_id"]) for shard in record.sharded("kept")] == [["q1", "q2"], ["q3"]]
    assert len(record.sharded("nothing")) == 0


def test_the_shards_of_a_records_table_are_linked_and_not_copied(tmp_path: Path) -> None:
    record = saved_record(tmp_path).load()

    assert record.sharded("kept").files[0].samefile(tmp_path / "a.parquet")


def test_a_record_that_was_loaded_can_be_saved_changed(tmp_path: Path) -> None:
    record = saved_record(tmp_path).load()
    other = RecordDataset(filepath=str(tmp_path / "other"), version=V1)

    other.save(Record({**record, "iteration": 2}, record.tables))

    assert other.load()["iteration"] == 2
    assert list(other.load().table("kept")["question_id"]) == ["q1", "q2", "q3"]


def test_a_record_without_tables_may_be_a_plain_object(tmp_path: Path) -> None:
    dataset = RecordDataset(filepath=str(tmp_path / "record"), version=V1)

    dataset.save({"iteration": 0})

    assert dataset.load() == {"iteration": 0}
    assert dataset.load().tables == {}


def test_figures_come_back_by_file_name_and_are_previewed_on_one_sheet(tmp_path: Path) -> None:
    dataset = saved_figures(tmp_path)

    assert dataset.load()["a.svg"] == b"<svg/>"
    sheet = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    assert sheet.size == (60, 40)
    assert [sheet.getpixel(at) for at in ((5, 5), (35, 5), (5, 25))] == [(255, 0, 0), (0, 0, 255), (0, 128, 0)]


def read_record(dataset: Any) -> None:
    record = dataset.load()
    for name in record.tables:
        record.table(name)


@pytest.mark.parametrize(
    ("save", "read"),
    [(saved_record, read_record), (saved_figures, lambda dataset: dataset.load())],
    ids=["record", "figures"],
)
def test_damage_to_any_file_of_the_folder_is_named(
    tmp_path: Path, save: Callable[[Path], Any], read: Callable[[Any], None]
) -> None:
    dataset = save(tmp_path)
    (manifest,) = tmp_path.glob("*/2026*/*/files.json")

    for file in sorted(manifest.parent.iterdir()):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        with pytest.raises(RestemError, match=rf"{file.name} is damaged.*Remove"):
            read(dataset)
        file.unlink()
        file.write_bytes(content)
    read(dataset)
    lost = next(file for file in sorted(manifest.parent.iterdir()) if file != manifest)
    shutil.move(lost, tmp_path / "gone")
    with pytest.raises(DatasetFault, match=rf"it lacks {lost.name}"):
        read(dataset)

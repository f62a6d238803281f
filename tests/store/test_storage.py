"""Disks that are full or read-only, and what is in the way of a file: one sentence, and nothing half-written stays."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from kedro.io.core import Version

from restem.datasets import ShardedParquetDataset
from restem.datasets.record import JSONDataset
from restem.datasets.versions import DatasetFault
from restem.errors import ExperimentError, StorageError
from restem.store.digests import digests_file
from restem.store.journal import Journal
from restem.store.locks import is_held
from restem.store.tables import ShardedTable, write_shard

VERSION = Version(None, "2026-11-28T10.00.00.000Z")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"), (disk / "fill").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(512))


def save_record(disk: Path) -> None:
    JSONDataset(filepath=str(disk / "record.json"), version=VERSION).save({"text": "x" * 20_000})


def save_shards(disk: Path) -> None:
    shard = disk.parent / "shard.parquet"
    write_shard(pd.DataFrame({"question_id": ["q" * 20_000]}), shard)
    ShardedParquetDataset(filepath=str(disk / "table"), version=VERSION).save(ShardedTable([shard]))


WRITES: dict[str, Callable[[Path], object]] = {
    "an entry": lambda disk: Journal(disk / "new").open("samples", seed=1),
    "a text": lambda disk: Journal(disk).open("samples", seed=2).write_text("log.json", "x" * 20_000),
    "a first text": lambda disk: Journal(disk).open("samples", seed=2).write_first("width", "x" * 20_000),
    "a part": lambda disk: (
        Journal(disk).open("samples", seed=2).part("model", lambda path: path.write_bytes(bytes(20_000)))
    ),
    "a shard": lambda disk: write_shard(pd.DataFrame({"question_id": ["q" * 20_000]}), disk / "00000.parquet"),
    "a record": save_record,
    "shards": save_shards,
}


@pytest.mark.parametrize("what", WRITES)
def test_a_full_disk_is_named_and_nothing_unfinished_stays(disk: Path, what: str) -> None:
    Journal(disk).open("samples", seed=2)
    fill(disk)

    with pytest.raises(StorageError, match=r"/disk/.* cannot be written: the disk is full .*restem journal"):
        WRITES[what](disk)

    assert [path for path in disk.rglob("*") if "partial" in path.name or path.name == VERSION.save] == []


@pytest.mark.parametrize("what", WRITES)
def test_a_read_only_disk_is_named(disk: Path, what: str) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    with pytest.raises(StorageError, match=r"/disk/.*cannot be written: .*Read-only file system"):
        WRITES[what](disk)


def test_a_folder_in_the_place_of_a_lock_is_named(tmp_path: Path) -> None:
    lock = tmp_path / ".tiny.lock"
    lock.mkdir()

    for use in (lambda: is_held(lock), lambda: Journal(tmp_path).lock("tiny").__enter__()):
        with pytest.raises(ExperimentError, match=r"\.tiny\.lock should be a lock, and is a folder: remove it"):
            use()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("")

    with pytest.raises(StorageError, match=r"journal is in the way \(.*\)\. Remove that, then run again"):
        Journal(tmp_path / "journal").open("samples", seed=1)


@pytest.mark.parametrize("damage", [lambda file: file.write_text("[1]"), lambda file: file.write_bytes(b"\xff\x00")])
def test_a_version_whose_digests_are_damaged_is_named_and_hides_no_older_one(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    place = tmp_path / "record.json"
    for number in range(2):
        version = Version(None, f"2026-11-2{number}T10.00.00.000Z")
        JSONDataset(filepath=str(place), version=version).save({"number": number})
    newest = place / "2026-11-21T10.00.00.000Z" / "record.json"
    damage(digests_file(newest))

    with pytest.raises(DatasetFault, match=r"\.record\.json\.digests is damaged: it holds no digests\. Remove "):
        JSONDataset(filepath=str(place), version=Version(None, None)).load()


def test_a_part_with_a_folder_in_the_place_of_its_digests_is_made_again(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", seed=1)
    part = entry.write_text("log.json", "[]")
    digests_file(part).unlink()
    digests_file(part).mkdir()
    (digests_file(part) / "file").write_text("")

    entry.part("log.json", lambda path: path.write_text("[1]"))

    assert entry.read_text("log.json") == "[1]"


def test_a_folder_without_the_text_of_a_part_that_is_never_replaced_is_named(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("samples", seed=1)
    entry.write_first("width", "32")
    (entry.path("width") / "text").unlink()

    with pytest.raises(Exception, match=r"text is damaged.*restem journal prune"):
        entry.read_first("width")

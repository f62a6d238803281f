import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from restem.datasets import JournalDataset, PolicyDataset, ShardedParquetDataset
from restem.datasets.folder import Place
from restem.datasets.table import ParquetDataset
from restem.datasets.versions import DatasetFault
from restem.policies.policy import Policy
from restem.store.digests import sealed
from restem.store.fingerprints import folder_fingerprint
from restem.store.tables import ShardedTable, write_shard

V1 = Version(None, "2026-01-01T00.00.00.000Z")


def sharded(folder: Path, *shards: list[int]) -> ShardedTable:
    files = []
    for number, values in enumerate(shards):
        files.append(folder / f"source-{number}.parquet")
        write_shard(pd.DataFrame({"value": values}), files[-1])
    return ShardedTable(files)


def policy(folder: Path) -> Policy:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    found = folder_fingerprint(folder)
    return Policy(path=str(folder), fingerprint=found, iteration=0, name="a", parent=None, base=found)


def test_sharded_table_comes_back_with_its_shards_in_order(tmp_path: Path) -> None:
    dataset = ShardedParquetDataset(filepath=str(tmp_path / "table"), version=V1)

    dataset.save(sharded(tmp_path, [1, 2], [3]))

    assert [list(shard["value"]) for shard in dataset.load()] == [[1, 2], [3]]


def test_a_folder_without_its_manifest_is_no_version(tmp_path: Path) -> None:
    dataset = ShardedParquetDataset(filepath=str(tmp_path / "table"), version=Version(None, None))
    unfinished = tmp_path / "table" / "2026-01-01T00.00.00.000Z" / "table"
    unfinished.mkdir(parents=True)
    write_shard(pd.DataFrame({"value": [1]}), unfinished / "00000.parquet")

    assert not dataset.exists()


def test_an_unfinished_newer_version_does_not_hide_the_whole_one(tmp_path: Path) -> None:
    ShardedParquetDataset(filepath=str(tmp_path / "table"), version=V1).save(sharded(tmp_path, [7]))
    (tmp_path / "table" / "2026-02-01T00.00.00.000Z" / "table").mkdir(parents=True)

    latest = ShardedParquetDataset(filepath=str(tmp_path / "table"), version=Version(None, None))

    assert list(latest.load()["value"]) == [7]


def test_saved_policy_has_the_fingerprint_of_what_was_saved(tmp_path: Path) -> None:
    made = policy(tmp_path / "model")
    dataset = PolicyDataset(filepath=str(tmp_path / "policy"), version=V1)

    dataset.save(made)

    loaded = dataset.load()
    assert loaded.fingerprint == made.fingerprint == folder_fingerprint(loaded.folder)
    assert loaded.folder != made.folder


def test_base_policy_stays_where_it_is(tmp_path: Path) -> None:
    made = policy(tmp_path / "model")
    dataset = PolicyDataset(filepath=str(tmp_path / "policy"), copy=False, version=V1)

    dataset.save(made)

    assert dataset.load().folder == made.folder


def test_publishing_again_after_a_kill_replaces_what_the_kill_left(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    place = Place(str(tmp_path / "whole"), "manifest.json")
    killed, version = tmp_path / "whole" / "v1", tmp_path / "whole" / "v2" / "whole"
    (killed / f".whole.{socket.gethostname()}.{dead.pid}.0.partial").mkdir(parents=True)
    (killed / f".whole.{socket.gethostname()}.{os.getpid()}.0.partial").mkdir()
    (tmp_path / "file").write_text("content")

    place.publish(version, {"file": tmp_path / "file"}, {"n": 1})

    assert sorted(file.name for file in version.iterdir()) == ["file", "manifest.json"]
    assert [file.name for file in killed.iterdir()] == [f".whole.{socket.gethostname()}.{os.getpid()}.0.partial"]


def test_journal_refuses_to_be_a_node_output(tmp_path: Path) -> None:
    dataset = JournalDataset(filepath=str(tmp_path))

    with pytest.raises(DatasetError, match="written by the operations"):
        dataset.save(dataset.load())


def test_more_than_a_hundred_thousand_shards_stay_in_order(tmp_path: Path) -> None:
    for name in ("99999", "100000"):
        (tmp_path / f"{name}.parquet").touch()
    (tmp_path / "shards.json").write_text(sealed({"files": {"99999.parquet": "", "100000.parquet": ""}}))

    loaded = ShardedParquetDataset(filepath=str(tmp_path)).load()

    assert [file.stem for file in loaded.files] == ["99999", "100000"]


@pytest.mark.parametrize("name", ["sharded", "file"])
def test_a_version_that_was_asked_for_and_is_not_there_is_named_beside_those_that_are(
    name: str, tmp_path: Path
) -> None:
    kind: Any = {"sharded": ShardedParquetDataset, "file": ParquetDataset}[name]
    place = {"filepath": str(tmp_path / "table.parquet")}
    kind(**place, version=V1).save(sharded(tmp_path, [7]) if name == "sharded" else pd.DataFrame({"value": [7]}))
    pinned = kind(**place, version=Version("2025-01-01T00.00.00.000Z", None))

    assert not pinned.exists()
    with pytest.raises(DatasetFault, match=rf"has no version '2025.*--load-versions.*it has {V1.save}$"):
        pinned.load()
    kind(**place, version=Version(V1.save, None)).load()

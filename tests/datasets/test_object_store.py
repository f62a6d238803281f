"""Results in an object store: a real S3 server in this process, reached as any other by its address."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from restem.datasets import JournalDataset, PolicyDataset, ShardedParquetDataset
from restem.datasets.folder import Place
from restem.errors import ExperimentError
from restem.policies.policy import Policy
from restem.policies.retention import Retention, delete_weights, made_with
from restem.project import filepath
from restem.store.fingerprints import file_fingerprints, folder_fingerprint
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, write_shard
from tests.conftest import Project

BUCKET = "restem-test"
V1 = Version("2026-01-01T00.00.00.000Z", "2026-01-01T00.00.00.000Z")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An empty bucket; its server and keys are in the environment, where all clients look for them."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line per request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = s3fs.S3FileSystem()
        system.mkdir(BUCKET)
        yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def table(tmp_path: Path) -> ShardedTable:
    for number in range(3):
        write_shard(pd.DataFrame({"value": [number, 10 + number]}), tmp_path / f"{number}.parquet")
    return ShardedTable(sorted(tmp_path.glob("*.parquet")))


def sharded(name: str, version: Version = V1) -> ShardedParquetDataset:
    return ShardedParquetDataset(filepath=f"s3://{BUCKET}/{name}", version=version)


def test_a_table_comes_back_shard_by_shard(bucket: Any, table: ShardedTable) -> None:
    sharded("table").save(table)

    loaded = sharded("table", Version(None, None)).load()

    assert [list(shard["value"]) for shard in loaded] == [[0, 10], [1, 11], [2, 12]]
    assert (len(loaded), loaded.columns, list(loaded["value"])) == (6, ["value"], [0, 10, 1, 11, 2, 12])
    assert file_fingerprints(loaded.files) == file_fingerprints(table.files)


def test_a_table_can_be_saved_from_one_place_to_another(bucket: Any, table: ShardedTable, tmp_path: Path) -> None:
    sharded("first").save(table)

    sharded("second").save(sharded("first").load())
    on_disk = ShardedParquetDataset(filepath=str(tmp_path / "third"), version=V1)
    on_disk.save(sharded("second").load())

    assert list(on_disk.load()["value"]) == [0, 10, 1, 11, 2, 12]


def test_an_interrupted_save_is_no_version(bucket: Any, table: ShardedTable) -> None:
    sharded("interrupted").save(table)
    place = Place(f"s3://{BUCKET}/interrupted", "shards.json")
    later = f"{BUCKET}/interrupted/2026-01-02T00.00.00.000Z/interrupted"
    files = {"00000.parquet": table.files[0], "00001.parquet": table.files[0].with_name("gone.parquet")}

    with pytest.raises(FileNotFoundError):
        place.publish(later, files, {})

    assert bucket.exists(f"{later}/00000.parquet")
    assert not place.is_whole(later)
    assert len(sharded("interrupted", Version(None, None)).load()) == 6


def test_a_policy_is_fetched_to_the_cache_once(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"0123")
    name = folder_fingerprint(tmp_path / "model")
    policy = Policy(str(tmp_path / "model"), fingerprint=name, iteration=1, name="m", base="b")
    where = {"filepath": f"s3://{BUCKET}/policy", "cache": str(tmp_path / "cache"), "version": V1}
    PolicyDataset(**where).save(policy)

    first = PolicyDataset(**where).load()
    before = (first.folder / "weights").stat().st_mtime_ns
    again = PolicyDataset(**where).load()

    assert folder_fingerprint(first.folder) == first.fingerprint == name
    assert first.folder.is_relative_to(tmp_path / "cache")
    assert (again.folder / "weights").stat().st_mtime_ns == before


def test_a_policy_needs_a_cache_and_the_journal_a_disk() -> None:
    with pytest.raises(DatasetError, match="cache"):
        PolicyDataset(filepath=f"s3://{BUCKET}/policy")
    with pytest.raises(DatasetError, match="must be on a disk"):
        JournalDataset(filepath=f"s3://{BUCKET}/journal")


@pytest.mark.slow
def test_an_iteration_runs_with_all_its_results_in_a_bucket(bucket: Any, project: Project) -> None:
    settings = project.folder / "conf" / "tiny" / "globals.yml"
    settings.write_text(f"data: s3://{BUCKET}/results\n")

    small = {
        "questions__n_train": 8,
        "questions__n_validation": 2,
        "questions__n_test": 4,
        "sampling__n": 8,
        "filtering__min_reward": 0.0,
        "training__epochs": 1,
        "training__eval_every": None,
        "evaluation__n_train_questions": 4,
    }

    project.run("prepare", "baseline", "iteration_1", **small)

    stored = project.catalog()
    journaled = [file for file in project.folder.rglob("journal/*/*.parquet") if not file.name.startswith(".")]
    for name in ("iteration_1.samples", "iteration_1.scored_samples", "iteration_1.training_set"):
        assert set(file_fingerprints(stored.load(name).files)) <= set(file_fingerprints(journaled))
    policy = stored.load("policy_1")
    assert folder_fingerprint(policy.folder) == policy.fingerprint == stored.load("record_1")["policy"]
    assert bucket.glob(f"{BUCKET}/results/06_models/tiny/iteration_1/policy/*/policy/*.safetensors")
    assert {file.name for file in (project.folder / "data").rglob("*.parquet")} == {file.name for file in journaled}
    with pytest.raises(ExperimentError, match=r"needs results on a disk, and questions_summary is at s3://"):
        filepath(stored, "questions_summary")


def test_weights_that_are_not_kept_leave_the_bucket_the_journal_and_the_cache(bucket: Any, tmp_path: Path) -> None:
    decided_by = {"start": "a", "training": {"learning_rate": 1e-4}}
    trained = Journal(tmp_path / "journal").open("policy", **decided_by)

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"0123")
        (folder / "config.json").write_text("{}")

    folder = trained.write("policy", make)
    made = made_with(decided_by, n_rows=3, notes=[])
    policy = Policy(str(folder), folder_fingerprint(folder), iteration=1, name="m", base="b", made_with=made)
    where = {"filepath": f"s3://{BUCKET}/lean", "cache": str(tmp_path / "cache"), "version": V1}
    stored = PolicyDataset(**where)
    stored.save(policy)
    fetched = stored.load().folder
    del trained  # which holds its entry
    retention = Retention("e", "last")

    freed = delete_weights(stored.versions(), Journal(tmp_path / "journal"), retention, fetched=stored.fetched)

    assert freed == 3 * 4
    assert not bucket.glob(f"{BUCKET}/lean/*/*/*.safetensors")
    assert not fetched.exists()
    trained = Journal(tmp_path / "journal").open("policy", **decided_by)
    assert not trained.has("policy")
    assert retention.deleted(trained) == policy.fingerprint
    again = PolicyDataset(**where).load()
    assert (again.deleted, again.fingerprint) == (True, policy.fingerprint)

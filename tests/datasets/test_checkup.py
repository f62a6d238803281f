"""`restem doctor --data`: what is damaged or left over is named, and only that is removed."""

import os
import random
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.datasets.checkup import check_journal, check_versions, repair_journal
from restem.store.journal import Journal
from tests.conftest import Project


def doctor(*options: str) -> Result:
    return CliRunner().invoke(restem, ["doctor", "--data", *options, "--env", "tiny"])


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_finished_experiment_is_whole(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)

    result = doctor()

    assert result.exit_code == 0, result.output
    assert "whole, 0 damaged, 0 left over" in result.output


def test_what_is_damaged_is_named_and_removed_and_all_else_stays(copied: Project) -> None:
    data = copied.folder / "data"
    before = written(data)
    record = max(data.glob("08_reporting/tiny/iteration_1/record/*/record/record.json"))
    version = record.parents[1]
    log = min(data.glob("02_intermediate/journal/policy-*/log.json"))
    shard = max(data.glob("07_model_output/tiny/iteration_2/samples/*/samples/00000.parquet"))
    for file in (record, log, shard):
        file.write_bytes(random.Random(0).randbytes(100))
    empty = version.with_name("2026-01-01T00.00.00.000Z")
    empty.mkdir()

    shown, done, after = doctor(), doctor("--repair"), doctor()

    assert shown.exit_code == 1
    for file in (record, log, shard):
        assert f"damaged: {file} is damaged" in shown.output
    assert f"left over: {empty}" in shown.output
    assert done.exit_code == 0, done.output
    assert [line.split("em.iteration=")[1] for line in done.output.splitlines() if "made again by" in line] == [
        "1",
        "2",
    ]
    assert "0 damaged, 0 left over" in after.output
    gone = [name for name in before if name not in written(data) and ".locks" not in name]
    assert gone
    for name in gone:
        assert any(str(data / name).startswith(str(place)) for place in (version, shard.parents[1])) or (
            (data / name).parent == log.parent and "log.json" in name
        )


def test_what_a_run_uses_is_not_removed(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", seed=1)
    entry.write_text("log.json", "[]").write_text("[1]")
    (finding,) = check_journal(tmp_path).findings

    assert not repair_journal(Journal(tmp_path), finding)
    assert entry.has("log.json")
    del entry
    assert repair_journal(Journal(tmp_path), finding)
    assert check_journal(tmp_path).findings == []


def test_partial_files_of_the_dead_are_left_over_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    for process in (2**22, os.getpid()):
        (tmp_path / f".policy.{socket.gethostname()}.{process}.abcd.partial").mkdir()

    (finding,) = check_journal(tmp_path).findings

    assert (finding.kind, finding.path.name.split(".")[-3]) == ("left over", str(2**22))


def test_a_version_without_digests_is_not_looked_at(tmp_path: Path) -> None:
    version = tmp_path / "own.bin" / "2026-01-01T00.00.00.000Z"
    version.mkdir(parents=True)
    (version / "own.bin").write_bytes(b"made by a dataset of one's own")

    assert check_versions(tmp_path) == (0, [])


@pytest.mark.parametrize("name", ["figures", "iteration_1/record"])
def test_a_damaged_file_of_a_folder_of_files_is_found(finished: Project, tmp_path: Path, name: str) -> None:
    shutil.copytree(finished.folder / "data/08_reporting/tiny" / name, tmp_path / "copy")
    assert check_versions(tmp_path) == (1, [])
    file = min(path for path in tmp_path.rglob("*") if path.suffix in (".png", ".parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    (finding,) = check_versions(tmp_path).findings

    assert (finding.kind, file.name in finding.said) == ("damaged", True)

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.errors import ExperimentError
from restem.store.journal import Journal
from restem.store.journal_usage import CatalogFiles, Choice, JournalUse, file_keys, journal_uses, prunable
from tests.conftest import Project

MakeEntry = Callable[[str, int], Path]


@pytest.fixture
def make_entry(tmp_path: Path) -> MakeEntry:
    def make(operation: str, size: int) -> Path:
        entry = Journal(tmp_path / "journal").open(operation, size=size)
        return entry.write_text("00000.parquet", "x" * size)

    return make


def published(tmp_path: Path, *files: Path, by: Callable[[Path, Path], object] = os.link) -> CatalogFiles:
    """Return the files of an experiment whose newest versions share these."""
    folder = tmp_path / "catalog"
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        by(file, folder / str(number))
    keys = file_keys(folder.iterdir())
    return CatalogFiles(keys, keys)


def uses_by_kind(tmp_path: Path, **experiments: CatalogFiles) -> dict[str, JournalUse]:
    return {use.kind: use for use in journal_uses(tmp_path / "journal", experiments)}


def test_every_entry_has_a_kind_and_a_size(tmp_path: Path, make_entry: MakeEntry) -> None:
    make_entry("samples-train-1-sampled", 1000)
    make_entry("training-set", 500)

    uses = uses_by_kind(tmp_path)

    assert set(uses) == {"samples", "training-set"}
    assert uses["samples"].bytes == uses["samples"].freed >= 1000
    assert uses["training-set"].needed_by == ()


@pytest.mark.parametrize("by", [os.link, shutil.copy2], ids=["linked", "copied"])
def test_an_entry_that_a_newest_version_was_made_from_is_needed(
    tmp_path: Path, make_entry: MakeEntry, by: Callable[[Path, Path], object]
) -> None:
    kept, _ = make_entry("samples-train-1-sampled", 1000), make_entry("scores", 500)

    uses = uses_by_kind(tmp_path, mine=published(tmp_path, kept, by=by))

    assert uses["samples"].needed_by == ("mine",)
    assert [use.kind for use in prunable(uses.values(), Choice())] == ["scores"]


def test_bytes_that_a_catalog_version_shares_are_not_freed(tmp_path: Path, make_entry: MakeEntry) -> None:
    shared = make_entry("scores", 100_000)

    use = uses_by_kind(tmp_path, mine=published(tmp_path, shared))["scores"]

    assert use.bytes > 100_000 > use.freed


def test_an_experiment_gives_up_what_no_other_one_needs(tmp_path: Path, make_entry: MakeEntry) -> None:
    mine, ours = make_entry("scores", 500), make_entry("samples-train-1-sampled", 1000)
    make_entry("policy", 300)
    both = file_keys([mine, ours])
    uses = uses_by_kind(tmp_path, a=CatalogFiles(both, both), b=CatalogFiles(file_keys([ours]), both))

    assert [use.kind for use in prunable(uses.values(), Choice(experiment="a"))] == ["scores"]
    assert prunable(uses.values(), Choice(experiment="c")) == []


def test_what_is_younger_than_asked_stays(tmp_path: Path, make_entry: MakeEntry) -> None:
    old, _ = make_entry("scores", 500), make_entry("policy", 300)
    week_ago = time.time() - 8 * 86_400
    for file in old.parent.iterdir():
        os.utime(file, (week_ago, week_ago))

    assert [use.kind for use in prunable(uses_by_kind(tmp_path).values(), Choice(older_than_days=7))] == ["scores"]


def test_deleting_leaves_the_catalog_whole(tmp_path: Path, make_entry: MakeEntry) -> None:
    shared = make_entry("scores", 500)
    published(tmp_path, shared)

    assert Journal(tmp_path / "journal").delete(shared.parent.name)

    assert not shared.exists()
    assert (tmp_path / "catalog" / "0").read_text() == "x" * 500


@pytest.fixture
def journal(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Return the journal of a copy of the finished project; the current folder is in it."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder)
    monkeypatch.chdir(folder)
    return Journal(folder / "data/02_intermediate/journal")


@pytest.mark.slow
def test_pruning_shows_first_and_then_deletes_what_no_version_needs(journal: Journal) -> None:
    stale = (
        Journal(journal.root)
        .open("samples-train-1-sampled", seed=99)
        .write_text("00000.parquet", "never asked for again")
    )
    (stale.parent / ".00001.parquet.123.partial").write_text("killed")
    before = {path.name for path in journal.root.glob("[!.]*")}

    shown = command("prune")
    assert {path.name for path in journal.root.glob("[!.]*")} == before
    done = command("prune", "--yes")

    assert stale.parent.name in shown
    assert before - {path.name for path in journal.root.glob("[!.]*")} == {stale.parent.name}
    assert "would delete 1 of" in shown
    assert "deleted 1 of" in done
    assert {line.split()[0] for line in command().splitlines()} >= {"samples", "scores", "policy", "all"}


@pytest.mark.slow
def test_pruning_waits_for_nobody_and_takes_nothing_from_a_running_experiment(journal: Journal) -> None:
    stale = Journal(journal.root).open("scores", seed=99).write_text("00000.parquet", "x")

    with journal.lock("another"), pytest.raises(ExperimentError, match="'another' is being run"):
        command("prune", "--yes")

    assert stale.exists()
    with pytest.raises(ExperimentError, match="no entry 'scores-0'"):
        command("prune", "--entry", "scores-0")


def command(*arguments: str) -> str:
    result = CliRunner().invoke(
        restem, ["journal", "--env", "tiny", *arguments], standalone_mode=False, catch_exceptions=False
    )
    if result.exception:
        raise result.exception
    return result.output

"""Runs that share a journal: one makes, the others wait and use, and nobody deletes what another one needs."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from restem.errors import ExperimentError, PolicyError
from restem.policies.model_card import export_policy
from restem.policies.policy import Policy
from restem.policies.retention import Retention, delete_weights, made_with
from restem.store.digests import sealed
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal, JournalEntry

ROOT = Path(__file__).parents[2]


def python(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT, **options
    )


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """Return what came of one, two and four processes that began the same iteration at once."""
    folder = tmp_path_factory.mktemp("races")
    with python("-m", "tests.racing_runs", str(folder), "1", "2", "4") as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    return {len(race["had"]): race for race in map(json.loads, out.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_of_runs_that_want_the_same_one_makes_it_and_the_others_use_it(races: dict[int, Any], n: int) -> None:
    made = [name for of_process in races[n]["made"] for name in of_process]

    assert sorted(made) == sorted(races[1]["made"][0])
    assert races[n]["left"] == []


@pytest.mark.parametrize("n", [2, 4])
def test_runs_that_share_a_journal_have_the_bytes_of_a_run_alone(races: dict[int, Any], n: int) -> None:
    assert races[n]["had"] == races[1]["had"] * n


HOLDER = """
import sys
from pathlib import Path
from restem.store.journal import Journal
entry = Journal(sys.argv[1]).open("policy", seed=1)
with entry.making(["policy"]) as missing:
    (entry.folder / ".policy.elsewhere.1.x.partial").mkdir()
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_a_killed_maker_lets_go_and_what_it_left_is_cleared_away(tmp_path: Path) -> None:
    with python("-c", HOLDER, str(tmp_path), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        process.kill()

    entry = Journal(tmp_path).open("policy", seed=1)
    entry.part("policy", lambda path: path.write_text("made"))

    assert entry.path("policy").read_text() == "made"
    assert not list(entry.folder.glob(".policy.*.partial"))


def test_who_wants_what_is_being_made_waits_for_it(tmp_path: Path) -> None:
    waiter = HOLDER.replace('print("holds", flush=True)', "print(missing, flush=True)").replace("sys.stdin.read()", "")
    entry = Journal(tmp_path).open("policy", seed=1)
    with entry.making(["policy"]) as missing:
        process = python("-c", waiter, str(tmp_path))
        time.sleep(1.0)
        assert (missing, process.poll()) == (["policy"], None)
        entry.write_text("policy", "made")
    out, _ = process.communicate()

    assert out == "[]\n"
    assert process.returncode == 0


def test_a_fork_does_not_hold_what_its_parent_made(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", seed=1)
    child = 0
    with entry.making(["policy"]):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
        entry.write_text("policy", "made")
    started = time.monotonic()
    entry.path("policy").unlink()
    with Journal(tmp_path).open("policy", seed=1).making(["policy"]) as missing:
        assert missing == ["policy"]
    os.kill(child, 9)
    os.waitpid(child, 0)

    assert time.monotonic() - started < 10


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(ExperimentError, match="on a file system without locks"):
        Journal(tmp_path).open("policy", seed=1)
    with pytest.raises(ExperimentError, match="on a file system without locks"), Journal(tmp_path).lock("default"):
        pass


USER = """
import sys
from restem.store.journal import Journal
journal = Journal(sys.argv[1])
entry = journal.find("policy", seed=1)
print(entry.has("policy"), flush=True)
sys.stdin.read()
"""


def test_an_entry_that_another_process_uses_is_not_deleted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    name = journal.open("policy", seed=1).write_text("policy", "x").parent.name
    (tmp_path / name / ".left.host.1.x.partial").touch()
    with python("-c", USER, str(tmp_path), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        in_use = Journal(tmp_path).delete(name)
        Journal(tmp_path).delete_leftovers()
        left = [(tmp_path / name / part).exists() for part in ("policy", ".left.host.1.x.partial")]
        process.kill()

    assert (in_use, left) == (False, [True, True])
    assert journal.delete(name)
    assert not (tmp_path / name).exists()


def test_two_that_open_an_entry_at_once_both_have_it(tmp_path: Path) -> None:
    opening = (
        "import sys; from restem.store.journal import Journal\nfor n in range(200): Journal(sys.argv[1]).open('a', n=n)"
    )
    processes = [python("-c", opening, str(tmp_path)) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.glob("a-*/decided_by.json"))) == 200


def trained(journal: Journal, version: Path) -> Policy:
    """Return a policy that the journal holds, published as a version by copies."""
    entry = journal.open("policy", start="a")

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"0123")
        (folder / "config.json").write_text("{}")

    folder = entry.part("policy", make)
    made = made_with({"start": "a"}, n_rows=3, notes=[])
    policy = Policy(str(folder), folder_fingerprint(folder), iteration=1, name="m", base="b", made_with=made)
    version.mkdir()
    (version / "model.safetensors").write_bytes(b"0123")
    (version / "policy.json").write_text(sealed(policy.to_dict()))
    return policy


def test_retention_leaves_weights_that_another_run_uses_and_takes_them_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    trained(journal, tmp_path / "version")
    mine, other = Retention("mine", "last"), Journal(tmp_path / "journal")
    used = other.find("policy", start="a")
    del journal

    freed_beside = delete_weights([tmp_path / "version"], Journal(tmp_path / "journal"), mine)
    assert used is not None
    kept = used.has("policy")
    del other, used
    freed_later = delete_weights([tmp_path / "version"], Journal(tmp_path / "journal"), mine)

    assert (freed_beside, kept, freed_later) == (4, True, 4)


def test_weights_that_were_deleted_are_not_exported(tmp_path: Path) -> None:
    policy = trained(Journal(tmp_path / "journal"), tmp_path / "version")
    record = {"policy": policy.fingerprint, "iteration": 1}
    (policy.folder / "model.safetensors").unlink()

    with pytest.raises(PolicyError):
        export_policy(policy, record, experiment="e", output=tmp_path / "out")
    assert not list(tmp_path.glob(".out.*"))


def test_a_part_is_made_once_and_found_after(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("a", n=1)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("x")

    assert entry.part("x", make) == entry.part("x", make) == entry.path("x")
    assert len(made) == 1


def test_an_entry_without_a_journal_can_be_written(tmp_path: Path) -> None:
    assert JournalEntry(tmp_path).write_text("a", "b").read_text() == "b"

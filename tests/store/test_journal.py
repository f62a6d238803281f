import socket
import subprocess
import sys
from pathlib import Path

import pytest

from restem.errors import ExperimentError
from restem.store.journal import Journal


def test_same_deciding_values_find_the_same_entry(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open("samples", policy="p", seed=1).write_text("a", "done")

    again = Journal(tmp_path).open("samples", seed=1, policy="p")

    assert again.has("a")


def test_another_seed_finds_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open("samples", seed=1).write_text("a", "done")

    assert not journal.open("samples", seed=2).has("a")


def test_a_part_that_died_midway_is_not_there_and_is_made_again(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", seed=1)

    def dies(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry.write("policy", dies)
    assert not entry.has("policy")

    def succeeds(folder: Path) -> None:
        folder.mkdir()
        (folder / "whole").write_text("x")

    entry.write("policy", succeeds)

    assert [file.name for file in entry.path("policy").iterdir()] == ["whole"]


def test_second_process_is_refused_while_the_first_holds_the_experiment(tmp_path: Path) -> None:
    holder = f"""
import sys
from restem.store.journal import Journal
with Journal({str(tmp_path)!r}).lock("default"):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"

        holds = f"process {process.pid} on {socket.gethostname()}"
        with pytest.raises(ExperimentError, match=holds), Journal(tmp_path).lock("default"):
            pass
        with Journal(tmp_path).lock("another"):
            pass
        process.kill()
        process.wait()

    with Journal(tmp_path).lock("default"):
        pass


def test_a_folder_of_another_user_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    code = f"""
import os
from restem.errors import ExperimentError
from restem.store.journal import Journal
if os.geteuid() == 0: # who may write everywhere
    os.seteuid(65534)
try:
    Journal({str(tmp_path / "data" / "journal")!r}).lock("default").__enter__()
except ExperimentError as error:
    print(error)
"""

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert f"{tmp_path}/data/journal cannot be written by user" in said
    assert "which the user who runs restem must own" in said

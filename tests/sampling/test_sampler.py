"""Draws, journaled: killed at any moment and started again, they are as if nothing had happened."""

import os
import random
import re
import subprocess
import sys
import termios
import time
import tracemalloc
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from restem.policies.tiny_model import write_tiny_model
from restem.sampling.progress import Progress
from tests import forked
from tests.conftest import Logged
from tests.sampling.drawing import DECODING, scripted

SCRIPT = """
import logging, sys
from dataclasses import replace
from pathlib import Path
from tests import forked
from tests.sampling.drawing import CHOICE, DECODING, POLICY, asked
from restem.store.journal import Journal
from restem.sampling.sampler import Draw, draw_samples
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
folder = Path(sys.argv[1])
policy = replace(POLICY, path=str(folder.parent / "model"))
draw = Draw(asked(48), DECODING, purpose="train", iteration=1)
draw_samples([draw], policy, choice=CHOICE, journal=Journal(folder), experiment_seed=5)
"""


def start(folder: Path) -> BaseProcess:
    """Return the process that draws into the folder; what it logs is in a file beside it."""
    return forked.start(["python", "-c", SCRIPT, str(folder)], folder.parent, folder.with_suffix(".log"))


def shards(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("samples-*/[!.]*.parquet"))}


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """Return, for every finished shard, which file it is and when it was written."""
    stats = {file.name: file.stat() for file in folder.glob("samples-*/[!.]*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.long
def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    start(undisturbed).join()
    moments = random.Random(7)

    for n_finished in (1, 3, 6):
        process = start(disturbed)
        while process.is_alive() and len(written(disturbed)) < n_finished:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.join()
    kept = written(disturbed)
    process = start(disturbed)
    process.join()
    log = disturbed.with_suffix(".log").read_text()

    assert process.exitcode == 0
    assert 6 <= len(kept) < 8
    assert {name: written(disturbed)[name] for name in kept} == kept  # nothing finished was drawn again
    assert shards(disturbed) == shards(undisturbed)
    assert len(shards(undisturbed)) == 8
    reused = re.search(r"(\d+) samples in \d of 8 shards are in the journal", log)
    assert reused is not None
    assert int(reused[1]) == len(kept) * 6 * DECODING.n


def test_what_is_in_the_journal_is_not_drawn_again_and_the_log_says_how_much(tmp_path: Path, logged: Logged) -> None:
    first = scripted(tmp_path, n_questions=14)
    first.files[1].unlink()
    before = written(tmp_path)
    logged.clear()

    again = scripted(tmp_path, n_questions=14)

    assert again.files == first.files
    assert {name: written(tmp_path)[name] for name in before} == before
    assert any("128 samples in 2 of 3 shards are in the journal" in record.getMessage() for record in logged)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"temperature": 0.5}, {"stop": ("b",)}, {"n": 17}, {"max_new_tokens": 9}]
)
def test_a_changed_parameter_reuses_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    before = set(scripted(tmp_path, n_questions=6).files)

    assert not before & set(scripted(tmp_path, n_questions=6, **change).files)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_questions(tmp_path: Path) -> None:
    def peak(n_questions: int) -> int:
        tracemalloc.start()
        scripted(tmp_path, n_questions=n_questions)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    scripted(tmp_path, n_questions=6)  # imports and caches
    few, many = peak(24), peak(240)

    assert many < few + 240 * 3000  # the questions themselves, and by far not the texts of their 16 samples


def test_progress_says_how_far_it_is() -> None:
    with Progress("drawing", n_questions=10, n_before=4) as progress:
        progress.advance(n_samples=8, n_tokens=100)
        progress.advance(n_questions=2, n_samples=8, n_accepted=2)

        assert re.fullmatch(r"7 of 10 questions, 16 samples, \d+ tokens/s, 25.0% accepted", progress.state())


def test_progress_is_a_line_that_changes_on_a_terminal_and_one_in_the_log_elsewhere(tmp_path: Path) -> None:
    code = """
import logging
from restem.sampling.progress import Progress
logging.basicConfig(level=logging.INFO, format="%(message)s")
with Progress("drawing", n_questions=2) as progress:
    progress.advance(n_samples=3, n_tokens=9)
    progress.advance(n_samples=3, n_tokens=9)
"""
    run = [sys.executable, "-c", code]
    plain = subprocess.run(run, capture_output=True, text=True, check=True).stderr
    leader, follower = os.openpty()
    termios.tcsetwinsize(leader, (24, 160))
    subprocess.run(run, stderr=follower, check=True)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)

    assert re.fullmatch(r"drawing: 2 of 2 questions, 6 samples, \d+ tokens/s in 0 s\n", plain)
    assert "\r\x1b[Kdrawing: 1 of 2 questions, 3 samples" in shown
    assert "6 samples" in shown

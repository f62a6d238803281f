"""On a real Ray cluster: the same tables as here, and nothing lost when processes and nodes die."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from restem import suggestions
from restem.errors import BudgetError, ScaleError
from restem.parameters import BudgetParameters, LimitsParameters
from restem.scale import LOCAL
from restem.spending import spending
from restem.store.ledger import Ledger
from restem.suggestions import Asked
from tests.scale.conftest import STORE_BYTES
from tests.scale.jobs import begun, bytes_of, on_ray, sampled, scored, wait_until

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys
from pathlib import Path
from tests.scale.jobs import on_ray, sampled
journal, marks, address = sys.argv[1:]
sampled(Path(journal), on_ray(address), seconds=0.3, marks=marks)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The shards that every other way of drawing them must give."""
    return bytes_of(sampled(tmp_path_factory.mktemp("local"), LOCAL))


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """A thread to draw in, while the test does something to the cluster."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.slow
def test_a_budget_lets_workers_finish_their_shards_and_is_counted_by_the_driver(
    cluster: Any, tmp_path: Path, undisturbed: list[bytes]
) -> None:
    ledger, scale = Ledger(tmp_path / "spending.json"), on_ray(cluster.address, workers=2)

    def begin(tokens: int) -> None:
        spending.open(ledger, LimitsParameters(budget=BudgetParameters(tokens=tokens)), experiment="e")

    begin(1)
    with pytest.raises(BudgetError, match=r"limits\.budget\.tokens=1\."):
        sampled(tmp_path / "ray", scale)
    n_finished = len(list(tmp_path.glob("ray/samples-*/[0-9]*.parquet")))
    begin(10**9)
    drawn = sampled(tmp_path / "ray", scale)
    spending.close()

    account = ledger.read()
    assert account is not None
    assert 1 <= n_finished <= 3  # those of two workers, and one that was given out before the first was heard of
    assert bytes_of(drawn) == undisturbed
    assert account.sampling.completion_tokens == drawn.to_pandas()["n_tokens"].sum()


@pytest.mark.slow
def test_samples_and_verdicts_are_the_same_bytes_as_without_ray(
    cluster: Any, tmp_path: Path, undisturbed: list[bytes]
) -> None:
    local = scored(tmp_path / "local", sampled(tmp_path / "local", LOCAL), LOCAL)
    scale = on_ray(cluster.address, workers=2)

    drawn = sampled(tmp_path / "ray", scale)
    judged = scored(tmp_path / "ray", drawn, scale)

    assert bytes_of(drawn) == undisturbed
    assert bytes_of(judged) == bytes_of(local)
    assert list(tmp_path.glob("*/.probe*")) == []


@pytest.mark.slow
def test_a_command_that_a_worker_suggests_names_the_environment_of_the_run(cluster: Any, tmp_path: Path) -> None:
    before = suggestions.asked()
    suggestions.use(Asked(env="tiny", params={"experiment": "steps"}))
    try:
        with pytest.raises(ScaleError, match=r"kedro run --env tiny --params=experiment=steps,em\.seed=4"):
            sampled(tmp_path, on_ray(cluster.address), engine="open_refusing")
    finally:
        suggestions.use(before)


@pytest.mark.long
def test_what_is_in_the_journal_needs_no_cluster(tmp_path: Path, undisturbed: list[bytes]) -> None:
    sampled(tmp_path, LOCAL)

    assert bytes_of(sampled(tmp_path, on_ray("no-such-host:6379"))) == undisturbed


@pytest.mark.long
def test_a_killed_worker_loses_its_shard_only(
    cluster: Any, tmp_path: Path, marks: Path, background: ThreadPoolExecutor, undisturbed: list[bytes]
) -> None:
    drawing = background.submit(sampled, tmp_path, on_ray(cluster.address), seconds=0.5, marks=str(marks))
    wait_until(lambda: len(begun(marks)) >= 3)

    os.kill(begun(marks)[0], signal.SIGKILL)

    assert bytes_of(drawing.result()) == undisturbed
    assert len(begun(marks)) == 8 + 1


@pytest.mark.long
def test_a_removed_node_and_one_that_joins_late_make_no_difference(
    cluster: Any, tmp_path: Path, marks: Path, background: ThreadPoolExecutor, undisturbed: list[bytes]
) -> None:
    drawing = background.submit(sampled, tmp_path, on_ray(cluster.address), seconds=1.0, marks=str(marks))
    wait_until(lambda: len(begun(marks)) >= 3)

    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    assert bytes_of(drawing.result()) == undisturbed
    assert len(begun(marks)) == 8 + 1


@pytest.mark.long
def test_a_run_with_no_node_for_it_goes_on_when_one_joins(
    cluster: Any, tmp_path: Path, background: ThreadPoolExecutor, undisturbed: list[bytes]
) -> None:
    drawing = background.submit(sampled, tmp_path, on_ray(cluster.address, workers=1, cpus=1.5))

    late = cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)

    assert bytes_of(drawing.result()) == undisturbed
    cluster.remove_node(late)


@pytest.mark.long
def test_a_killed_driver_started_again_does_only_what_is_missing(
    cluster: Any, tmp_path: Path, marks: Path, undisturbed: list[bytes]
) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(marks), cluster.address]
    with subprocess.Popen(command, env=environment) as driver:
        wait_until(lambda: len(list(tmp_path.glob("samples-*/[!.]*.parquet"))) >= 3)
        driver.kill()
    finished = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("samples-*/[!.]*.parquet")}

    drawn = sampled(tmp_path, on_ray(cluster.address))

    assert 3 <= len(finished) < 8
    assert {file.name: file.stat().st_mtime_ns for file in drawn.files if file.name in finished} == finished
    assert bytes_of(drawn) == undisturbed


@pytest.mark.long
@pytest.mark.parametrize(("fault", "reason"), [("fails_on", "RuntimeError: cannot answer"), ("dies_on", "worker died")])
def test_a_shard_that_always_fails_is_named_and_the_others_are_kept(
    cluster: Any, tmp_path: Path, marks: Path, fault: str, reason: str
) -> None:
    scale = on_ray(cluster.address, retries=1)

    with pytest.raises(ScaleError, match=rf"1 of 8 shards failed 2 times each .* q003, q004, q005 \(00001.*{reason}"):
        sampled(tmp_path, scale, marks=str(marks), **{fault: "question 4"})

    assert len(list(tmp_path.glob("samples-*/[!.]*.parquet"))) == 7
    assert len(begun(marks)) == 9


@pytest.mark.long
def test_questions_of_a_failed_shard_are_asked_again_and_no_others(
    cluster: Any, tmp_path: Path, marks: Path, undisturbed: list[bytes]
) -> None:
    with pytest.raises(RuntimeError, match="cannot answer"):
        sampled(tmp_path, LOCAL, fails_on="question 4")

    drawn = sampled(tmp_path, on_ray(cluster.address), marks=str(marks))

    assert bytes_of(drawn) == undisturbed
    assert len(begun(marks)) == 7

"""The M-step on nodes of a real Ray cluster: as in one process here, and nothing lost with a node."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from restem.errors import ScaleError, TrainingError
from restem.parameters import TrainingParameters
from restem.parameters.scale import ScaleParameters, ShareParameters
from restem.policies.policy import Policy
from restem.scale.cluster import connect
from restem.scale.ray_training import network
from restem.training.request import TrainingResult
from restem.training.run import train
from tests.conftest import Logged
from tests.scale.conftest import STORE_BYTES
from tests.scale.jobs import wait_until
from tests.training.trainings import OPTIONS, PRESETS, REWARDS, TWO, rows, trained, validation, worker

ON_TWO_NODES = {**TWO, "launcher": "ray", "machines": 2}

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("one_thread")]


def trained_on(
    cluster: Any, base: Policy, folder: Path, n_right: list[int] = REWARDS, *, gpus: float = 0.0, **changed: Any
) -> TrainingResult:
    share = ShareParameters(cpus=1.0, gpus=gpus)
    return train(
        rows(),
        base,
        parameters=TrainingParameters(**{**OPTIONS, "checkpoint_every_s": 0, **ON_TWO_NODES, **changed}),
        output=folder / "policy",
        validation=validation(n_right),
        unfinished=folder / "unfinished",
        scale=ScaleParameters(address=cluster.address, training=share, patience_s=2.0),
    )


@pytest.fixture(scope="module")
def by_two_nodes(cluster: Any, base: Policy, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return trained_on(cluster, base, tmp_path_factory.mktemp("two"))


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_two_nodes_train_as_one_process_here(base: Policy, by_two_nodes: TrainingResult, tmp_path: Path) -> None:
    by_one = trained(base, tmp_path, REWARDS)

    assert by_two_nodes.best_step == by_one.best_step
    for two, one in zip(by_two_nodes.log, by_one.log, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        exact = ("step", "learning_rate", "n_tokens_trained", "validation_reward")
        assert {name: two.get(name) for name in exact} == {name: one.get(name) for name in exact}
    unfinished = by_two_nodes.folder.parent / "unfinished"
    machines = {file.relative_to(unfinished / "launch" / "logs").parts[0] for file in unfinished.rglob("stderr.log")}
    assert machines == {"0", "1"}
    assert list(unfinished.rglob(".probe*")) == []


def learnt(result: TrainingResult) -> list[dict[str, float]]:
    """Return the losses and gradients of every step, each of which all weights before it decide."""
    return [{name: value for name, value in step.items() if name != "validation_reward"} for step in result.log]


def test_training_goes_on_when_a_node_is_lost_and_another_joins(  # noqa: PLR0913 - fixtures
    cluster: Any,
    base: Policy,
    by_two_nodes: TrainingResult,
    tmp_path: Path,
    background: ThreadPoolExecutor,
    logged: Logged,
) -> None:
    training = background.submit(trained_on, cluster, base, tmp_path)
    wait_until(lambda: any((tmp_path / "unfinished").glob("checkpoint-*3")), timeout_s=120.0)

    cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0], allow_graceful=False)
    cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    # The scripted rewards begin anew in a new process; what is learnt does not depend on them.
    assert learnt(training.result()) == learnt(by_two_nodes)
    messages = [record.getMessage() for record in logged]
    assert any("was lost" in message for message in messages)
    assert sum(message.startswith("optimizer step 1 of 6") for message in messages) <= 1


def test_a_process_killed_on_a_node_is_named_and_the_others_end(
    cluster: Any, base: Policy, tmp_path: Path, background: ThreadPoolExecutor
) -> None:
    unfinished = tmp_path / "unfinished"
    training = background.submit(trained_on, cluster, base, tmp_path)
    wait_until(lambda: any(unfinished.glob("checkpoint-*3")), timeout_s=120.0)

    os.kill(worker(unfinished, rank=1), signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"process 1 of 2 \(rank 1\) was ended by signal 9 \(SIGKILL\)"):
        training.result()
    with pytest.raises(LookupError):
        worker(unfinished, rank=0)


def test_nodes_that_there_are_not_are_asked_for_in_vain(cluster: Any, base: Policy, tmp_path: Path) -> None:
    with pytest.raises(ScaleError, match=r"fewer than 4 nodes .* scale.training asks for 1 CPUs .* waited 2 s"):
        trained_on(cluster, base, tmp_path, machines=4, processes=4)


def test_weights_are_not_divided_among_nodes_without_gpus(cluster: Any, base: Policy, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"scale\.training\.gpus is 0; ask for one for each process"):
        trained_on(cluster, base, tmp_path, launcher_config=str(PRESETS / "fsdp.yaml"))
    with pytest.raises(ScaleError, match=r"fewer than 2 nodes .* asks for 1 CPUs and 1 GPUs"):
        trained_on(cluster, base, tmp_path, launcher_config=str(PRESETS / "fsdp.yaml"), gpus=1.0)


def test_processes_meet_over_the_network_of_ray(cluster: Any) -> None:
    import psutil
    import ray

    connect(ScaleParameters(address=cluster.address))
    named = network()

    assert named["GLOO_SOCKET_IFNAME"] == named["NCCL_SOCKET_IFNAME"]
    addresses = [each.address for each in psutil.net_if_addrs()[named["GLOO_SOCKET_IFNAME"]]]
    assert ray.util.get_node_ip_address() in addresses

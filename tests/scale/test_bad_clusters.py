"""What is said when the cluster cannot be used, before any shard is worked on."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from restem.errors import ScaleError
from tests.scale.jobs import on_ray, sampled

CPUS_OF_BLIND = 3  # more than any other node has


@pytest.fixture
def blind_node(cluster: Any, tmp_path: Path) -> Iterator[Path]:
    """A node that sees another folder in the place of this one, as if the storage were its own disk."""
    folder = tmp_path / "journal"
    folder.mkdir()
    start = f"{Path(sys.executable).with_name('ray')} start --address={cluster.address} --num-cpus={CPUS_OF_BLIND}"
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", f"mount -t tmpfs none {folder} && {start} --block"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **quiet) as process:  # type: ignore[call-overload]
        yield folder
        os.killpg(process.pid, signal.SIGKILL)


def test_without_ray_the_install_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_TOKEN"):  # so that they are unset again
        monkeypatch.setenv(name, "")

    with pytest.raises(ScaleError, match=r"pip install 'restem\[ray\]'"):
        sampled(tmp_path, on_ray(None))


@pytest.mark.parametrize("address", ["10.0.0.1", "ray://head:10001", "head:"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ScaleError, match=r"scale\.address"):
        sampled(tmp_path, on_ray(address, patience_s=1))


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_that_does_not_answer_is_named(tmp_path: Path, listens: bool) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if listens:
            held.listen()
        address = f"127.0.0.1:{held.getsockname()[1]}"

        with pytest.raises(ScaleError, match=rf"scale\.address={address} does not answer"):
            sampled(tmp_path, on_ray(address, patience_s=0.5))


def test_an_address_where_something_else_answers_is_named(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        with pytest.raises(ScaleError, match="what answers there is no Ray head"):
            sampled(tmp_path, on_ray(f"127.0.0.1:{server.server_port}", patience_s=5))
        server.shutdown()


@pytest.mark.slow
def test_a_gpu_that_no_node_has_is_named(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ScaleError, match=r"scale\.sampling asks for 1 CPUs and 1 GPUs .* have 1 CPUs and 0 GPUs; 1 C"):
        sampled(tmp_path, on_ray(cluster.address, gpus=1, patience_s=0.1))


@pytest.mark.slow
def test_a_node_that_sees_other_storage_is_refused_before_its_first_shard(cluster: Any, blind_node: Path) -> None:
    with pytest.raises(ScaleError, match=rf"cannot see or write {blind_node}.* same path"):
        sampled(blind_node, on_ray(cluster.address, workers=1, cpus=CPUS_OF_BLIND))

    assert list(blind_node.glob("samples-*/*.parquet")) == []


@pytest.mark.slow
def test_a_cluster_of_another_ray_is_refused(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.shutdown()
    monkeypatch.setattr(ray, "__version__", "2.1.0")  # of this process; Ray itself compares it with the cluster's

    with pytest.raises(ScaleError, match=r"Version mismatch: .*\n +Ray: 2\.\d+\.\d+\n(.*\n)*.*Ray: 2\.1\.0"):
        sampled(tmp_path, on_ray(cluster.address))


@pytest.mark.slow
def test_a_cluster_of_its_own_is_not_one_that_runs_here_and_listens_to_this_machine_alone(
    cluster: Any,
) -> None:
    script = """
import psutil
from restem.parameters.scale import ScaleParameters
from restem.scale.cluster import connect

ray = connect(ScaleParameters(backend="ray"))
print(ray.get_runtime_context().gcs_address)
ray.get(ray.remote(lambda: None).remote())
for process in psutil.Process().children(recursive=True) + [psutil.Process()]:
    for connection in process.net_connections():
        if connection.status == psutil.CONN_LISTEN:
            print(connection.laddr.ip)
"""
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}  # as on a node of a cluster, or beside one

    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    own, *listening = run.stdout.split()
    assert own != cluster.address
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_a_process_on_one_cluster_is_not_moved_to_another(cluster: Any, tmp_path: Path) -> None:
    import ray

    ray.init(cluster.address, ignore_reinit_error=True)

    with pytest.raises(ScaleError, match=rf"connected to the Ray cluster {cluster.address} already"):
        sampled(tmp_path, on_ray("10.0.0.1:6379"))

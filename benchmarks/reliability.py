"""Experiments that are killed, stopped, damaged and left without room, and what they have in the end.

Each trial has its own copy of a small project. It ends well if the undisturbed run's tables and policies are there,
byte by byte, or if the command stops with one sentence and has them after what the sentence says was done. Everything
else is a fault, which is printed and makes the exit code 1. What a trial does depends on its number and the seed alone,
but for what time itself decides; finished ones are noted in `trials.jsonl` of the folder, and the same command goes on
with the others. A full disk needs root, for tmpfs.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tests import forked  # noqa: E402
from tests.builders import bytes_of_tables  # noqa: E402
from tests.conftest import Project  # noqa: E402

RUN = ("kedro", "run", "--env", "tiny")
ITERATION = (*RUN, "--pipelines=em_iteration", "--params=em.iteration=1")
LOOK = ("restem", "doctor", "--data", "--env", "tiny")
OTHER = (*RUN, "--params=experiment=other")
SIZES: dict[str, dict[str, Any]] = {
    "em": {"iterations": 1},
    "questions": {"n_train": 12, "n_validation": 4, "n_test": 4},
    "training": {"epochs": 4},
    "evaluation": {"n": 2, "k": [1, 2], "n_train_questions": 4},
}
KILLS_EACH = 5
SAME, SENTENCE = "same bytes", "one sentence, then same bytes"
_REMOVE = re.compile(r"Remove (\S+) and have it made again[^:]*: ((?:kedro|restem) .+?)\s*(?:\(|\. |\.?$)")


class Fault(Exception):
    """What happened that must not."""


class Undisturbed(NamedTuple):
    """A finished experiment that nothing happened to."""

    folder: Path
    seconds: float
    found: dict[str, bytes]


def _of(folder: Path, experiment: str = "tiny") -> dict[str, bytes]:
    """Return the newest bytes of all tables and policies of an experiment, by paths without versions."""
    data = folder / "data"
    found = {name: content for name, content in bytes_of_tables(data).items() if f"/{experiment}/" in f"/{name}"}
    for file in sorted((data / "06_models" / experiment).rglob("*.safetensors")):
        found[f"{file.relative_to(data).parts[2]}/{file.name}"] = file.read_bytes()
    return {name.replace(f"/{experiment}/", "/"): content for name, content in found.items()}


def make_project(folder: Path) -> Path:
    """Return the folder of a new project whose tiny preset is still smaller."""
    folder.mkdir(parents=True)
    Project(folder)
    file = folder / "conf" / "tiny" / "parameters.yml"
    preset = yaml.safe_load(file.read_text())
    for group, values in SIZES.items():
        preset[group] = {**preset.get(group, {}), **values}
    file.write_text(yaml.safe_dump(preset))
    return folder


def _run(command: tuple[str, ...], folder: Path, **environment: str) -> tuple[int, str]:
    """Return the exit code and what was said, in one line; raise Fault if it is a traceback."""
    done = forked.run(command, folder, **environment)
    said = done.stdout + done.stderr
    if "Traceback" in said:
        raise Fault(f"traceback of {' '.join(command)}: {said[-600:]}")
    return done.returncode, " ".join(said.split())


def _finish(command: tuple[str, ...], folder: Path, **environment: str) -> None:
    code, said = _run(command, folder, **environment)
    if code:
        raise Fault(f"{' '.join(command)} ended with {code}: {said[-600:]}")


def _compare(folder: Path, undisturbed: Undisturbed, experiment: str = "tiny") -> None:
    found = _of(folder, experiment)
    other = [name for name, content in undisturbed.found.items() if found.get(name) != content]
    if other or found.keys() - undisturbed.found.keys():
        raise Fault(f"other bytes: {', '.join(other)} {sorted(found.keys() - undisturbed.found.keys())}")


def _runs_once(folder: Path, store: str = "") -> None:
    """Raise Fault if MLflow has nothing, or an iteration twice."""
    code = (
        "import collections, mlflow; found = mlflow.search_runs(search_all_experiments=True, output_format='list'); "
        "names = collections.Counter((run.info.experiment_id, run.info.run_name) for run in found); "
        "print(f'runs={len(found)} twice={sum(n > 1 for n in names.values())}')"
    )
    _, said = _run(("python", "-c", code), folder, MLFLOW_TRACKING_URI=store or f"sqlite:///{folder}/mlflow.db")
    if not re.search(r"runs=[1-9]\d* twice=0", said):
        raise Fault(f"MLflow: {said[-200:]}")


def _disturb(command: tuple[str, ...], folder: Path, number: int, after: float) -> None:
    process = forked.start(command, folder)
    process.join(after)
    if process.is_alive() and process.pid:
        os.killpg(process.pid, number)
        if number == signal.SIGSTOP:
            time.sleep(2)
            os.killpg(process.pid, signal.SIGCONT)
    process.join()


def kill(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Kill every run of an experiment at a random moment but the last."""
    make_project(folder)
    for _ in range(KILLS_EACH):
        _disturb(RUN, folder, signal.SIGKILL, chance.uniform(0, undisturbed.seconds))
    _finish(RUN, folder)
    _compare(folder, undisturbed)
    _runs_once(folder)
    return SAME


def kill_one_of_two(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Kill one of two experiments that share a journal, several times; the other goes on."""
    make_project(folder)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(_run, OTHER, folder)
        for _ in range(KILLS_EACH):
            _disturb(RUN, folder, signal.SIGKILL, chance.uniform(0, undisturbed.seconds))
        code, said = other.result()
    if code:
        raise Fault(f"the other one ended with {code}: {said[-600:]}")
    _finish(RUN, folder)
    _compare(folder, undisturbed)
    _compare(folder, undisturbed, "other")
    return SAME


def stop(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Stop a run for two seconds at a random moment."""
    _disturb(RUN, make_project(folder), signal.SIGSTOP, chance.uniform(0, undisturbed.seconds))
    _compare(folder, undisturbed)
    return SAME


def _serve(folder: Path, port: int) -> BaseProcess:
    """Return a server of MLflow that answers."""
    options = ["--backend-store-uri", f"sqlite:///{folder}/served.db", "--port", str(port), "--workers", "1"]
    server = forked.start(["mlflow", "server", *options], folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    while server.is_alive():
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return server
        time.sleep(0.2)
    raise RuntimeError(f"mlflow server ended with {server.exitcode}")


def _end(server: BaseProcess) -> None:
    os.killpg(server.pid or 0, signal.SIGKILL)
    server.join()


def serve_now_and_then(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Kill the server of MLflow at a random moment of a run, start it again, and log what it did not take."""
    make_project(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = f"http://127.0.0.1:{port}"
    server = _serve(folder, port)
    try:
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(_finish, RUN, folder, MLFLOW_TRACKING_URI=store)
            time.sleep(chance.uniform(0, undisturbed.seconds))
            _end(server)
            time.sleep(chance.uniform(0, undisturbed.seconds / 2))
            server = _serve(folder, port)
            run.result()
        _compare(folder, undisturbed)
        _finish(("restem", "mlflow-sync", "--env", "tiny"), folder, MLFLOW_TRACKING_URI=store)
        _runs_once(folder, store)
    finally:
        _end(server)
    return SAME


def fill(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Let the disk be full at a random place, then make room."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "restem", str(folder)], check=True)
    try:
        shutil.copytree(undisturbed.folder, folder / "whole")
        whole = shutil.disk_usage(folder).used
        shutil.rmtree(folder / "whole")
        make_project(folder / "project")
        size = int(chance.uniform(shutil.disk_usage(folder).used, 0.8 * whole))
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
        with tempfile.TemporaryDirectory() as elsewhere:
            output = Path(elsewhere) / "said"
            process = forked.start(RUN, folder / "project", output)
            process.join()
            said = output.read_text() + output.with_suffix(".err").read_text()
        if "Traceback" in said or not re.search("disk is full|No space", " ".join(said.split())):
            raise Fault(f"a traceback, or no word of a full disk ({size} of {whole} bytes): {said[-600:]}")
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        if process.exitcode:
            _finish(RUN, folder / "project")
        _compare(folder / "project", undisturbed)
        return SENTENCE if process.exitcode else SAME
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _flip(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content)) if content else 0
    return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped": _flip,
    "cut": lambda content, chance: content[: chance.randrange(len(content))],
    "emptied": lambda content, chance: b"",
    "of another type": lambda content, chance: chance.choice([b"[]", b"null", b"7", b'"text"', b"{}"]),
}


def damage(folder: Path, chance: random.Random, undisturbed: Undisturbed) -> str:
    """Damage a random file of a finished experiment, and run something on it."""
    shutil.copytree(undisturbed.folder, folder)
    data = folder / "data"
    files = sorted(file for file in data.rglob("*") if file.is_file() and file.stat().st_size)
    file, way, command = chance.choice(files), chance.choice(sorted(WAYS)), chance.choice([RUN, ITERATION])
    file.write_bytes(WAYS[way](file.read_bytes(), chance))
    about = f"{file.relative_to(data)} {way}, {' '.join(command[4:]) or 'all'}"
    try:
        code, said = _run(command, folder)
        if code:
            _follow(said, folder)
            _finish(command, folder)
        damaged, _ = _run(LOOK, folder)
        if damaged:  # and not read by the command
            _finish((*LOOK, "--repair"), folder)
            _finish(RUN, folder)
        _compare(folder, undisturbed)
    except Fault as fault:
        raise Fault(f"{about}: {fault}") from fault
    return SENTENCE if code else SAME


def _follow(said: str, folder: Path) -> None:
    """Do what a sentence says; raise Fault if it says nothing that can be done."""
    advice = _REMOVE.search(said)
    if not advice or not Path(advice[1]).is_relative_to(folder):
        raise Fault(f"no advice that can be followed: {said[-600:]}")
    place = Path(advice[1])
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    _finish(tuple(shlex.split(advice[2])), folder)


class Kind(NamedTuple):
    """What is done, how often in the whole campaign, and how many disturbances one trial has."""

    trial: Callable[[Path, random.Random, Undisturbed], str]
    trials: int
    each: int = 1


KINDS = {
    "killed at a random moment": Kind(kill, 10, KILLS_EACH),
    "killed beside one that shares its journal": Kind(kill_one_of_two, 4, KILLS_EACH),
    "disk full": Kind(fill, 20),
    "file damaged": Kind(damage, 100),
    "stopped for 2 s and continued": Kind(stop, 10),
    "MLflow's server killed, started again": Kind(serve_now_and_then, 5),
}


def possible() -> dict[str, Kind]:
    """Return the kinds that this user may try: tmpfs is root's."""
    return {name: kind for name, kind in KINDS.items() if kind.trial is not fill or os.geteuid() == 0}


def make_undisturbed(folder: Path) -> Undisturbed:
    """Return the experiment to compare with, made if it is not there."""
    took = folder.with_suffix(".seconds")
    if not took.exists():
        shutil.rmtree(folder, ignore_errors=True)
        start = time.monotonic()
        _finish(RUN, make_project(folder))
        took.write_text(str(time.monotonic() - start))
    return Undisturbed(folder, float(took.read_text()), _of(folder))


def _try(name: str, number: int, folder: Path, seed: int, undisturbed: Undisturbed) -> dict[str, Any]:
    place = folder / f"{name.replace(' ', '_')}_{number}"
    shutil.rmtree(place, ignore_errors=True)
    start, fault = time.monotonic(), ""
    try:
        outcome = KINDS[name].trial(place, random.Random(f"{seed}-{name}-{number}"), undisturbed)
        shutil.rmtree(place, ignore_errors=True)
    except Fault as error:
        outcome, fault = "fault", str(error)
    took = round(time.monotonic() - start, 1)
    return {"name": name, "number": number, "seed": seed, "outcome": outcome, "seconds": took, "fault": fault}


def campaign(folder: Path, seed: int, share: float, workers: int, only: str = "") -> list[dict[str, Any]]:
    """Return what came of the trials, those of earlier calls included."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder / "trials.jsonl"
    done = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    known = {(one["name"], one["number"], one["seed"]) for one in done}
    wanted = [
        (name, n)
        for name, kind in possible().items()
        if only in name
        for n in range(max(1, round(kind.trials * share)))
    ]
    undisturbed = make_undisturbed(folder / "undisturbed")
    with ThreadPoolExecutor(workers) as pool, notes.open("a") as out:
        trials = [one for one in wanted if (*one, seed) not in known]
        running = [pool.submit(_try, *trial, folder, seed, undisturbed) for trial in trials]
        for one in (trial.result() for trial in as_completed(running)):
            done.append(one)
            out.write(json.dumps(one) + "\n")
            out.flush()
    return [one for one in done if one["seed"] == seed]


def main() -> None:
    """Print the table; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("reliability"), help="where the trials are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the whole campaign; each kind once at least")
    parser.add_argument("--only", default="", help="the kinds with this in their name")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", MLFLOW_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")
    trials = campaign(arguments.folder.absolute(), arguments.seed, arguments.share, arguments.workers, arguments.only)
    lines = [f"| what | times | experiments | {SAME} | {SENTENCE} | faults |", "|---|---|---|---|---|---|"]
    for name, kind in KINDS.items():
        counts = Counter(one["outcome"] for one in trials if one["name"] == name)
        n = counts.total()
        lines.append(f"| {name} | {n * kind.each} | {n} | {counts[SAME]} | {counts[SENTENCE]} | {counts['fault']} |")
    faults = [f"{one['name']} {one['number']}: {one['fault']}" for one in trials if one["fault"]]
    sys.stdout.write("\n".join([*lines, *faults]) + "\n")
    figures = {
        "trials": len(trials),
        "faults": len(faults),
        "seconds": round(sum(one["seconds"] for one in trials), 1),
    }
    versions = {name: version(name) for name in ("torch", "kedro", "mlflow")}
    result = {"benchmark": "reliability", "ratios": {"well": 1 - len(faults) / len(trials)}}
    sys.stdout.write(json.dumps({**result, "figures": figures, "versions": versions}) + "\n")
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

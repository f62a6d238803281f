"""A stand-in for Slurm: `sbatch`, `srun` and `scontrol` that run a batch script on this machine. It is no Slurm.

Linked into a folder of PATH under these names. It sets the SLURM_ variables that a script reads, lets `srun` start as
many processes as it is asked for tasks, tells steps to end (and not the script, as --signal=TERM@120 does) when a file
`end-steps` appears in the folder of submission, and runs a script again that asks to be requeued. Resources, priorities
and other machines are not there.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_MOST_STARTS = 3


def _options(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return options, which are written --name=value, and what stands behind them."""
    given = {}
    while arguments and arguments[0].startswith("--"):
        name, _, value = arguments[0].partition("=")
        given[name] = value
        arguments = arguments[1:]
    return given, arguments


def sbatch(arguments: list[str]) -> int:
    """Run the script here and now, once per task of an array, as often as it puts itself back into the queue."""
    given, (script, *rest) = _options(arguments)
    asked = dict(re.findall(r"^#SBATCH (--[\w-]+)=(\S+)", Path(script).read_text(), re.MULTILINE)) | given
    first, _, last = asked.get("--array", "0").partition("-")
    worst = 0
    for task in range(int(first), int(last or first) + 1):
        of_array = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(task)} if "--array" in asked else {}
        output = Path(asked["--output"].replace("%j", "77").replace("%A", "77").replace("%a", str(task)))
        worst = max(worst, _job(["bash", script, *rest], asked, of_array, output))
    return worst


def _job(command: list[str], asked: dict[str, str], of_array: dict[str, str], output: Path) -> int:
    names = [f"127.0.0.{number}" for number in range(1, int(asked.get("--nodes", "1")) + 1)]
    job = {
        "SLURM_JOB_ID": "77",
        "SLURM_SUBMIT_DIR": str(Path.cwd()),
        "SLURM_JOB_NUM_NODES": str(len(names)),
        "SLURM_JOB_NODELIST": ",".join(names),
        "SLURM_CPUS_PER_TASK": asked["--cpus-per-task"],
    }
    queue = Path("requeued")
    for start in range(_MOST_STARTS):
        queue.unlink(missing_ok=True)
        environment = {**os.environ, **job, **of_array, "SLURM_RESTART_COUNT": str(start)}
        with output.open("a") as log:
            status = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False).returncode
        if not queue.exists():
            break
    return status


def srun(arguments: list[str]) -> int:
    """Run a command as often as it has tasks, hand a signal on to all, and return the highest status."""
    given, command = _options(arguments)
    tasks = [subprocess.Popen(command) for _ in range(int(given.get("--ntasks", "1")))]

    def tell(*_: object) -> None:
        for task in tasks:
            task.terminate()

    signal.signal(signal.SIGTERM, tell)
    threading.Thread(target=_end_steps, args=(tell,), daemon=True).start()
    return max(task.wait() for task in tasks)


def _end_steps(tell: Callable[[], None]) -> None:
    while True:
        time.sleep(0.05)
        if Path("end-steps").exists():
            Path("end-steps").unlink(missing_ok=True)
            tell()


def scontrol(arguments: list[str]) -> int:
    """Name the nodes of a list, or note that a job is to be run again."""
    if arguments[:2] == ["show", "hostnames"]:
        sys.stdout.write(arguments[2].replace(",", "\n") + "\n")
    else:
        Path("requeued").write_text(arguments[1])
        with Path("requeues").open("a") as all_of_them:
            all_of_them.write(f"{arguments[1]}\n")
    return 0


def install(folder: Path) -> None:
    """Put the three into a folder that is to be on PATH."""
    folder.mkdir()
    for name in ("sbatch", "srun", "scontrol"):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {name} "$@"\n')
        (folder / name).chmod(0o755)


def main() -> NoReturn:
    """Be what the first argument names."""
    sys.exit({"sbatch": sbatch, "srun": srun, "scontrol": scontrol}[sys.argv[1]](sys.argv[2:]))


if __name__ == "__main__":
    main()

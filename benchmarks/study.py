"""What the shared journal saves: a study in one project, against each of its experiments in a project of its own.

Both run all that `restem study run` does, but for MLflow, and find the base model converted. The ratio shared_journal
is the sum of the experiments' times alone over the time of the study; an experiment alone has to make what it borrows.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from restem.configuration.command_line import read_params
from restem.policies.base_models import prepare_base_model
from restem.store.journal import Journal
from restem.studies.runs import Task, experiments_of, run_tasks
from restem.studies.study import read_study

_ROOT = Path(__file__).parents[1]


def project(folder: Path, base_models: Path) -> Path:
    """Return a project that has the base model alone, the current folder from now on."""
    shutil.copytree(_ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    shutil.copy(_ROOT / "pyproject.toml", folder)
    for name in ("src", "conf/local"):
        (folder / name).mkdir()
    (folder / "data" / "06_models").mkdir(parents=True)
    (folder / "data" / "06_models" / "base").symlink_to(base_models)
    os.chdir(folder)
    return folder


def needed(task: Task) -> list[Task]:
    """Return an experiment after those whose policies it borrows."""
    return [*(each for lender in task.borrows.values() for each in needed(lender)), task]


def timed(
    asked: argparse.Namespace, experiments: set[str], base_models: Path, keep: Path | None = None
) -> tuple[float, int]:
    """Return the seconds that experiments of a study take in a project of their own, and the samples drawn."""
    with tempfile.TemporaryDirectory() as folder:
        here = project(keep or Path(folder), base_models)
        study = read_study(asked.study, here / "conf" / "studies")
        given = {**read_params(asked.params), "tracking": {"enabled": False}}
        tasks = experiments_of(study, project=here, env=asked.env, params=given)
        chosen = [each for task in tasks if task.name in experiments for each in needed(task)]
        prepare_base_model(tasks[0].parameters.policy.model, store=Journal(base_models))
        start = time.perf_counter()
        outcome = run_tasks(list({each.name: each for each in chosen}.values()), project=here, say=_say)
        if outcome.failed:
            raise SystemExit(f"failed: {outcome.failed}")
        os.chdir(_ROOT)
        return time.perf_counter() - start, outcome.n_drawn


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="methods")
    parser.add_argument("--env", default="small")
    parser.add_argument("--params", default="", help="as for restem study run")
    parser.add_argument("--keep", type=Path, help="a new folder for the study's own project, for restem study report")
    arguments = parser.parse_args()
    names = list(read_study(arguments.study, _ROOT / "conf" / "studies").experiments)
    with tempfile.TemporaryDirectory() as base_models:
        kept = Path(base_models)
        keep = arguments.keep and arguments.keep.absolute()
        together, n_together = timed(arguments, set(names), kept, keep)
        _say(f"together: {together:.0f} s, {n_together} samples")
        alone = {}
        for name in names:
            alone[name] = timed(arguments, {name}, kept)
            _say(f"{name} alone: {alone[name][0]:.0f} s, {alone[name][1]} samples")
    sum_s, n_alone = (sum(each) for each in zip(*alone.values(), strict=True))
    result = {
        "benchmark": "study",
        "ratios": {"shared_journal": round(sum_s / together, 2)},
        "figures": {
            "together_s": round(together, 1),
            "alone_s": round(sum_s, 1),
            "samples_together": n_together,
            "samples_alone": n_alone,
            "experiments": len(names),
        },
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "kedro")},
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

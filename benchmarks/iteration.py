"""How long a whole EM iteration takes, against the script that a user would write.

    python benchmarks/iteration.py [--train 96] [--test 64] [--n 16]

Both do the same work with the same base policy, prompts, decoding, filter, epochs, learning rate and evaluation: restem
by `kedro run --pipelines=iteration_1` after `prepare` and `baseline`, as anyone runs it, with its journal, checks,
record and MLflow; the other by benchmarks/plain_script.py. Both are timed as commands, from start to end. Training goes
through all epochs, because the script does not stop early; random numbers differ, so the training sets are alike and
not the same.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EVALUATION_N = 8


def main() -> None:
    """Measure both, print a table, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=96, help="questions")
    parser.add_argument("--test", type=int, default=64, help="questions")
    parser.add_argument("--n", type=int, default=16, help="samples of a question")
    parser.add_argument("--env", default="base", help="Kedro environment: the model, the prompts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_project(folder)
        parameters = ",".join(
            [
                f"questions.n_train={asked.train}",
                f"questions.n_test={asked.test}",
                "questions.n_validation=0",
                f"sampling.n={asked.n}",
                f"evaluation.n={EVALUATION_N}",
                "evaluation.n_train_questions=0",
                "training.eval_every=null",
            ]
        )
        kedro(folder, "prepare", asked.env, parameters)
        kedro(folder, "baseline", asked.env, parameters)
        ours = kedro(folder, "iteration_1", asked.env, parameters)
        catalog = catalog_of(folder, asked.env, parameters)
        record = catalog.load("record_1")
        request = plain_request(catalog, record)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        start = time.perf_counter()
        output = run([sys.executable, str(ROOT / "benchmarks" / "plain_script.py"), "request.json"], folder)
        theirs = time.perf_counter() - start
    report(ours, theirs, record, json.loads(output.splitlines()[-1]))


def make_project(folder: Path) -> None:
    """Copy what a Kedro project needs to run in an empty folder."""
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "src").mkdir()
    (folder / "conf" / "local").mkdir()


def kedro(folder: Path, pipeline: str, env: str, parameters: str) -> float:
    """Return how many seconds a `kedro run` took."""
    command = [str(Path(sys.executable).with_name("kedro")), "run", f"--pipelines={pipeline}", f"--params={parameters}"]
    start = time.perf_counter()
    run([*command, "--env", env], folder)
    return time.perf_counter() - start


def run(command: list[str], folder: Path) -> str:
    """Return what a command printed; if it fails, show what it said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


def catalog_of(folder: Path, env: str, parameters: str) -> Any:
    """Return the project's catalog."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from restem.configuration.command_line import read_params

    os.chdir(folder)
    bootstrap_project(folder)
    given = read_params(parameters)
    with KedroSession.create(project_path=folder, env=env, runtime_params=given) as session:
        return session.load_context().catalog


def plain_request(catalog: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Return the same work, as the plain script takes it."""
    from restem.engines.arithmetic import arithmetic_of

    asked = catalog.load("questions").merge(catalog.load("prompts"), on="question_id")
    asked["gold"] = [str(json.loads(gold)["answer"]) for gold in asked["gold"]]
    parameters = record["parameters"]
    sampling, evaluation = parameters["sampling"], parameters["evaluation"]
    decoding = {
        "max_new_tokens": sampling["max_new_tokens"],
        "stop": list(sampling["stop"]),
        "dtype": arithmetic_of("auto").dtype,
    }
    chosen = ("n", "temperature", "top_k", "top_p")
    return {
        "policy": str(catalog.load("policy_0").folder.absolute()),
        "train": asked.loc[asked["split"] == "train", ["prompt", "gold"]].to_dict("records"),
        "test": asked.loc[asked["split"] == "test", ["prompt", "gold"]].to_dict("records"),
        "sampling": decoding | {name: sampling[name] for name in chosen},
        "evaluation": decoding | {name: evaluation[name] for name in chosen},
        "max_per_question": parameters["filtering"]["max_per_question"],
        "training": {name: parameters["training"][name] for name in ("epochs", "learning_rate", "batch_size")},
    }


def report(ours: float, theirs: float, record: dict[str, Any], plain: dict[str, Any]) -> None:
    """Print the table, and as the last line the JSON object."""
    named = {"greedy": "test/greedy_pass_at_1", "pass_at_1": "test/pass_at_1"}
    metrics = {name: record["metrics"][metric]["value"] for name, metric in named.items()}
    figures = {
        "restem_seconds": ours,
        "plain_script_seconds": theirs,
        "plain_script_stages": plain["seconds"],
        "restem_rows": record["filtering"]["n_kept"],
        "plain_script_rows": plain["n_rows"],
        "restem_metrics": metrics,
        "plain_script_metrics": {name: plain[name] for name in metrics},
    }
    print(f"{'':14}{'seconds':>9}{'rows':>7}{'greedy':>9}{'pass@1':>9}")
    for name, seconds, rows, found in (
        ("restem", ours, figures["restem_rows"], metrics),
        ("plain script", theirs, plain["n_rows"], plain),
    ):
        print(f"{name:14}{seconds:9.1f}{rows:7d}{found['greedy']:9.3f}{found['pass_at_1']:9.3f}")
    versions = {package: version(package) for package in ("torch", "transformers", "trl", "math-verify")}
    versions["python"] = sys.version.split()[0]
    result = {
        "benchmark": "iteration",
        "ratios": {"plain_script": theirs / ours},
        "figures": figures,
        "versions": versions,
    }
    print(json.dumps(result | {"versions": versions}))


if __name__ == "__main__":
    main()

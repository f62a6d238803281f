"""How long `kedro registry list` takes here, against a new, empty Kedro project; and what it imports."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from restem.store.provenance import versions

KEDRO = Path(sys.executable).with_name("kedro")
ROOT = Path(__file__).parents[1]


def empty_project(folder: Path) -> Path:
    """Return a project with an empty registry, and nothing else that Kedro needs to start."""
    package = folder / "src" / "bare"
    package.mkdir(parents=True)
    (folder / "conf" / "base").mkdir(parents=True)
    (folder / "conf" / "local").mkdir()
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "bare"\nproject_name = "bare"\nkedro_init_version = "1.7.0"\nsource_dir = "src"\n'
    )
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("")
    (package / "pipeline_registry.py").write_text(
        "from kedro.pipeline import Pipeline\n\n\ndef register_pipelines():\n    return {'__default__': Pipeline([])}\n"
    )
    return folder


def seconds(folder: Path) -> float:
    """Return the wall clock of one `kedro registry list`."""
    started = time.perf_counter()
    environment = {**os.environ, "DO_NOT_TRACK": "1"}
    subprocess.run([KEDRO, "registry", "list"], cwd=folder, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started


def main() -> None:
    """Print the times, alternating so that both see the same machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each, after a first that does not count")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as temporary:
        bare = empty_project(Path(temporary))
        pairs = [(seconds(ROOT), seconds(bare)) for _ in range(runs + 1)][1:]
    ours, theirs = (median(values) for values in zip(*pairs, strict=True))
    print(f"kedro registry list: restem {ours:.2f} s, an empty project {theirs:.2f} s (median of {runs})")
    figures = {"registry_list_s": ours, "bare_registry_list_s": theirs, "restem_over_bare": ours / theirs}
    print(
        json.dumps(
            {
                "benchmark": "startup",
                "ratios": {"bare_kedro": theirs / ours},
                "figures": figures,
                "versions": versions("kedro", "kedro-viz", "restem"),
            }
        )
    )


if __name__ == "__main__":
    main()

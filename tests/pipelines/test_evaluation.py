"""What an experiment says about itself: which policy to keep, what went wrong, what it cost; in real Kedro sessions."""

import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.errors import ExperimentError
from restem.evaluation.best_policy import recommend
from restem.experiment import current_standing
from restem.store.records import Record
from tests.conftest import Project


def command(project: Project, *arguments: str) -> Result:
    with chdir(project.folder):
        return CliRunner().invoke(restem, [*arguments, "--env", "tiny"])


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A finished experiment that a test may change."""
    (tmp_path / "copy").mkdir()
    made = Project(tmp_path / "copy")
    shutil.copytree(finished.folder / "data", made.folder / "data")
    with chdir(made.folder):
        yield made


def test_best_policy_is_the_recommended_one_and_its_weights_are_not_copied(finished: Project) -> None:
    catalog = finished.catalog()
    records = {i: catalog.load(f"record_{i}") for i in range(3)}

    best = catalog.load("best_policy")

    assert best == catalog.load(f"policy_{recommend(records).iteration}")
    assert not list((finished.folder / "data/06_models/tiny/best_policy").rglob("*.safetensors"))


def test_every_iteration_says_what_was_watched_for(finished: Project) -> None:
    catalog = finished.catalog()

    table = catalog.load("sentinels")

    names = ["overfitting", "diversity_collapse", "transfer_loss", "worse_audit"]
    assert table["sentinel"].tolist() == names * 2
    assert [row["sentinel"] for row in catalog.load("record_2")["sentinels"]] == names
    assert "sentinel/overfitting" not in catalog.load("record_2")["metrics"]


def test_cost_counts_the_tokens_of_the_tables(finished: Project) -> None:
    catalog = finished.catalog()

    cost = catalog.load("cost").set_index("iteration")

    for i in (1, 2):
        assert cost.loc[i, "tokens_sampled"] == catalog.load(f"iteration_{i}.samples")["n_tokens"].sum()
        assert cost.loc[i, "tokens_evaluated"] == catalog.load(f"iteration_{i}.evaluation_samples")["n_tokens"].sum()
        assert cost.loc[i, "tokens_trained"] == catalog.load(f"training_log_{i}")["n_tokens_total"].sum()
        assert cost.loc[i, "seconds_training"] > 0
    assert cost.loc[0, "tokens_sampled"] == 0


def test_every_figure_is_a_png_and_an_svg_file(finished: Project) -> None:
    (folder,) = (finished.folder / "data/08_reporting/tiny/figures").glob("*/figures")
    names = sorted(path.stem for path in folder.glob("*.png"))

    assert "difficulty" in names
    assert names == sorted(path.stem for path in folder.glob("*.svg"))
    files = finished.catalog().load("figures")
    assert all(files[f"{name}.png"].startswith(b"\x89PNG") for name in names)
    assert all(files[f"{name}.svg"].startswith(b"<svg") for name in names)
    assert files["pass_at_k.svg"].decode() in finished.catalog().load("report_html")


def test_plan_counts_what_the_experiment_then_did(finished: Project) -> None:
    result = command(finished, "plan", "--no-measure")

    assert result.exit_code == 0, result.output
    catalog = finished.catalog()
    drawn = 2 * len(catalog.load("iteration_1.samples"))
    evaluated = 3 * len(catalog.load("iteration_1.evaluation_samples"))
    lines = {line.split()[0]: line.split() for line in result.output.splitlines() if line.strip()}
    assert lines["sampling"][1] == f"{drawn:,}"
    assert lines["evaluation"][1] == f"{evaluated:,}"
    assert "leave out --no-measure" in result.output


def test_plan_measures_a_sample_to_tell_the_time(finished: Project) -> None:
    before = sorted(path for path in (finished.folder / "data").rglob("*") if "journal" not in path.parts)

    result = command(finished, "plan")

    assert result.exit_code == 0, result.output
    assert "tokens/s sampled" in result.output
    for stage in ("sampling", "verdicts", "evaluation"):
        assert re.search(rf"^ *{stage} .* \d+(\.\d+)? (s|min|h)$", result.output, re.MULTILINE)
    assert before == sorted(path for path in (finished.folder / "data").rglob("*") if "journal" not in path.parts)


def test_plan_of_what_is_not_prepared_names_the_command(project: Project) -> None:
    result = command(project, "plan")

    assert result.exit_code == 1
    assert "kedro run --pipelines=prepare" in result.output


def test_an_experiment_stops_where_it_was_asked_to_and_its_report_can_be_written(copied: Project) -> None:
    catalog = copied.catalog()
    trouble = {"sentinel": "overfitting", "sign": "shown", "evidence": "train +0.1, validation -0.2"}
    record = catalog.load("record_1")
    catalog.save("record_1", Record({**record, "sentinels": [trouble]}, record.tables))
    asked = {"em__stop_when": ["overfitting"], "em__iterations": 2}
    shutil.rmtree(copied.folder / "data/08_reporting/tiny/iteration_2/record")

    with pytest.raises(ExperimentError, match="iteration 2 is not begun: iteration 1 shows overfitting"):
        copied.run("em_iteration", **asked)

    assert (current_standing().iterations, current_standing().complete) == (1, (1,))
    copied.run("compare", **asked)
    assert copied.catalog().load("results")["iteration"].tolist() == [0, 1]
    assert "Overfitting is shown in iteration 1" in copied.catalog().load("report_markdown")


def test_times_that_a_kill_left_unreadable_begin_anew(copied: Project) -> None:
    (copied.folder / "data/08_reporting/tiny/seconds.json").write_text('{"prepare')

    copied.run("compare")

    assert set(copied.catalog().load("node_seconds")) == {
        "comparison.choose_best_policy",
        "comparison.compare_policies",
        "report.break_down_results",
        "report.draw_figures",
        "report.name_changed_questions",
        "report.tabulate_cost",
        "report.write_report",
    }


def test_an_experiment_of_a_later_version_is_refused(copied: Project) -> None:
    catalog = copied.catalog()
    record = catalog.load("record_1")
    catalog.save("record_1", Record({**record, "format": 99}, record.tables))

    with pytest.raises(ExperimentError, match="has format 99, and this version of restem reads up to 3"):
        copied.run("compare")

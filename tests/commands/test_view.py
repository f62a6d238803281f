"""`restem view` as it is typed: what it writes, serves, adds, and refuses."""

import json
import os
import signal
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.datasets import MarksDataset
from restem.viewing.library import Library
from tests import forked
from tests.conftest import Project


def command(*arguments: str) -> Result:
    return CliRunner().invoke(restem, [*arguments, "--env", "tiny"])


def some_sample(folder: Path) -> dict[str, object]:
    """Return an accepted sample of iteration 2, as a reader's mark names it."""
    (index,) = (folder / "data/02_intermediate/tiny/sample_index").glob("*.sqlite")
    library = Library(index)
    filters = {"iteration": "2", "stage": "training", "verdict": "accepted"}
    name = library.page(filters, offset=0)["questions"][0]["question_id"]
    column = {"experiment": "tiny", "iteration": 2, "stage": "training"}
    row = library.samples(name, column, filters)[0]
    library.close()
    keys = ("experiment", "iteration", "stage", "decoding", "sample_index", "policy_id")
    return {"question_id": name, **{key: row[key] for key in keys}, "opinion": "wrong", "text": "no", "who": "Ann"}


def test_a_file_is_written_and_a_colleagues_marks_come_back_into_the_audit(copied: Project) -> None:
    page, lines = copied.folder / "samples.html", copied.folder / "marks.jsonl"

    written = command("view", "--output", str(page))
    said = some_sample(copied.folder)
    lines.write_text(json.dumps(said) + "\n")
    added = command("view", "--add-marks", str(lines))
    lines.write_text(json.dumps(said | {"sample_index": 999_999}))
    refused = command("view", "--add-marks", str(lines))
    audited = command("audit", "--samples", "0", "--questions", "0")

    assert (written.exit_code, page.as_uri() in written.output) == (0, True), written.output
    assert page.stat().st_size > 50_000
    assert "added 1 marks of Ann" in added.output
    assert "mark 1 is on a sample that is not here" in refused.output
    (mark,) = MarksDataset(filepath=str(copied.folder / "data/08_reporting/tiny/marks.jsonl")).load()
    assert (mark.reason, mark.opinion) == ("correct", "wrong")
    shown = "iteration 2, marked by 1 reader: 1 samples; accepted ones called wrong: 1 of 1, 1.000 [0.207, 1.000]"
    assert f"{shown}; doubtful: 0" in audited.output
    copied.run("compare")
    report = copied.catalog().load("report_markdown")
    assert "| 2 | 1 | 1 | 1 of 1 | 1.000 [0.207, 1.000] | 0 of 0 | - | 0 |" in report


def test_it_is_served_until_it_is_told_to_end(copied: Project) -> None:
    output = copied.folder / "said"
    served = ["restem", "view", "tiny", "--env", "tiny", "--no-browser", "--port", "0"]
    process = forked.start(served, copied.folder, output)
    end = time.monotonic() + 60
    while "samples: http" not in (output.read_text() if output.exists() else "") and time.monotonic() < end:
        assert process.is_alive(), output.with_suffix(".err").read_text()
        time.sleep(0.05)
    url = output.read_text().split()[1]
    about = httpx.get(f"{url}api/about").json()

    os.kill(process.pid or 0, signal.SIGINT)
    process.join(60)

    assert about["n_questions"] == 49
    assert about["keeps_marks"]
    assert process.exitcode == 130
    assert "Traceback" not in output.with_suffix(".err").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "there is no experiment 'nobody'; there are: tiny"),
        (["--question", "nothing-like-it"], "the experiment has no question 'nothing-like-it'"),
        (["--output", "missing/page.html"], "there is no folder"),
        (["--output", "conf"], "is a folder; name a file in it"),
        (["--add-marks", "missing.jsonl"], "--add-marks missing.jsonl cannot be read"),
        (["--port", "70000"], "is not in the range"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    finished: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(finished.folder)

    result = command("view", "--no-browser", *arguments)

    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output


def test_an_experiment_that_has_not_begun_says_how_to_begin(project: Project) -> None:
    assert "kedro run --pipelines=prepare --env tiny" in command("view", "--no-browser").output

"""Questions of a data set of the hub: the real client libraries, and a server of our own in place of the hub."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.configuration.hub import asks_the_hub
from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions
from tests.builders import checked
from tests.conftest import ROOT
from tests.questions.data_hub import COMMIT, DataHub, Repository, serving

pytestmark = pytest.mark.slow  # a process that imports `datasets`

MAPPED = {"text": "problem", "gold": "solution.final", "level": "difficulty"}
NUMBERS = {"n_train": None, "n_validation": 2, "n_test": 4, "n_exemplars": 1}
CARD = "---\nlicense: cc-by-4.0\n{configs}---\n# A data set\n"
CONFIGURATIONS = (
    "configs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n  - split: test\n"
    "    path: main/test-*\n- config_name: socratic\n  data_files: socratic/*\n"
)
ODD_SPLITS = (
    "configs:\n- config_name: default\n  data_files:\n  - split: train_sft\n    path: a.jsonl\n"
    "  - split: test_sft\n    path: b.jsonl\n"
)

Ask = Callable[..., dict[str, Any]]


def problems(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"problem": f"What is {i} + 1?", "solution": {"final": str(i + 1)}, "difficulty": i % 3, "picture": b"no PNG"}
        for i in range(start, start + n)
    ]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps({**row, "picture": None}) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


def card(configs: str = "") -> bytes:
    return CARD.format(configs=configs).encode()


REPOSITORIES = {
    "me/one": Repository({"README.md": card(), "data.jsonl": lines(problems(30))}),
    "me/two": Repository(
        {
            "README.md": card(CONFIGURATIONS),
            "main/train-00000-of-00001.parquet": parquet(problems(30)),
            "main/test-00000-of-00001.parquet": parquet(problems(10, start=100)),
            "socratic/train.parquet": parquet(problems(5)),
        }
    ),
    "me/odd": Repository(
        {"README.md": card(ODD_SPLITS), "a.jsonl": lines(problems(30)), "b.jsonl": lines(problems(10, start=100))}
    ),
    "me/gaps": Repository(
        {
            "data.jsonl": lines(
                [
                    {**row, "source": "contest"}
                    for row in [*problems(20), {"problem": "Hidden?"}, {"problem": "", "solution": {"final": "1"}}]
                ]
            )
        }
    ),
    "me/hidden": Repository(
        {"train.jsonl": lines(problems(20)), "test.jsonl": lines([{"problem": f"{i}?"} for i in range(9)])}
    ),
    "me/gated": Repository({"README.md": card(), "data.jsonl": lines(problems(30))}, is_gated=True),
    "me/script": Repository({"script.py": b"raise SystemExit('it was run')", "data.jsonl": lines(problems(30))}),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[DataHub]:
    with serving(REPOSITORIES) as hub:
        yield hub


def asking(hub: DataHub, cache: Path, **environment: str) -> Iterator[Ask]:
    """Yield a function that loads questions in a process of its own."""
    told = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.questions.asking_hub"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **told, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin and process.stdout

        def ask(dataset: str, *, numbers: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps({"options": {"dataset": dataset, **options}, **(numbers or NUMBERS)}) + "\n")
            process.stdin.flush()
            answer = next(line for line in process.stdout if line.startswith("ANSWER"))
            return json.loads(answer.removeprefix("ANSWER"))

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def ask(hub: DataHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    yield from asking(hub, tmp_path_factory.mktemp("cache"))


def counts(answer: dict[str, Any]) -> dict[str, int]:
    return pd.DataFrame(answer["rows"])["split"].value_counts().to_dict()


def test_a_set_of_one_split_is_dealt_and_says_its_commit_and_licence(ask: Ask) -> None:
    answer = ask("me/one", columns=MAPPED)

    assert counts(answer) == {"train": 23, "test": 4, "validation": 2, "exemplar": 1}
    row = next(row for row in answer["rows"] if row["text"] == "What is 7 + 1?")
    assert json.loads(row["gold"]) == {"answer": "8"}
    assert (row["level"], row["source"], row["licence"]) == ("1", f"me/one@{COMMIT[:12]}", "cc-by-4.0")


def test_streaming_gives_the_same_and_reads_no_more_rows_than_are_asked_for(ask: Ask) -> None:
    assert ask("me/one", columns=MAPPED, streaming=True) == ask("me/one", columns=MAPPED)

    few = ask("me/one", columns=MAPPED, streaming=True, numbers={**NUMBERS, "n_train": 3})

    assert counts(few) == {"train": 3, "test": 4, "validation": 2, "exemplar": 1}
    assert {row["text"] for row in few["rows"]} == {row["problem"] for row in problems(10)}


def test_configurations_and_splits_are_chosen_and_missing_ones_carved(ask: Ask) -> None:
    several = ask("me/two", columns=MAPPED)
    of_main = ask("me/two", columns=MAPPED, configuration="main")
    sliced = ask("me/two", columns=MAPPED, configuration="main", splits={"train": "test", "test": "train[:3]"})

    assert several["error"] == (
        "me/two has several configurations; choose one with questions.options.configuration: main, socratic"
    )
    assert counts(of_main) == {"train": 27, "test": 4, "validation": 2, "exemplar": 1}
    assert counts(sliced) == {"train": 7, "test": 3, "validation": 2, "exemplar": 1}
    assert "no configuration odd" in ask("me/two", columns=MAPPED, configuration="odd")["error"]


def test_splits_of_other_names_are_listed_with_what_to_write(ask: Ask) -> None:
    refused = ask("me/odd", columns=MAPPED)["error"]
    unknown = ask("me/odd", columns=MAPPED, splits={"train": "nope"})["error"]

    assert "has the splits train_sft, test_sft and none that is called train" in refused
    assert "  splits: {train: train_sft, test: test_sft}" in refused
    assert counts(ask("me/odd", columns=MAPPED, splits={"train": "train_sft", "test": "test_sft"}))["test"] == 4
    assert "has no such split as questions.options.splits asks for: " in unknown


def test_wrong_columns_are_listed_with_what_to_write(ask: Ask) -> None:
    assert ask("me/two", configuration="main")["error"].endswith(
        "under questions.options:\n  columns: {text: problem, gold: solution.final, level: difficulty}\n  reward: math"
    )


def test_gaps_in_a_set_that_nobody_can_mend_are_set_aside_and_a_split_without_golds_is_refused(ask: Ask) -> None:
    rows = ask("me/gaps", columns=MAPPED, numbers={**NUMBERS, "n_exemplars": 0})["rows"]

    assert len(rows) == 21
    assert {row["source"] for row in rows} == {f"me/gaps@{COMMIT[:12]}/contest"}
    assert next(json.loads(row["gold"]) for row in rows if row["text"] == "Hidden?") == {"answer": ""}
    assert "no row of split test has a gold" in ask("me/hidden", columns=MAPPED)["error"]


def test_a_revision_is_taken_and_a_missing_one_named(ask: Ask) -> None:
    refused = ask("me/one", columns=MAPPED, revision="v9")["error"]

    assert counts(ask("me/one", columns=MAPPED, revision="v1"))["test"] == 4
    assert "has the data set me/one, but not the revision 'v9' (questions.options.revision)" in refused


def test_a_gated_set_is_refused_without_a_token_and_read_with_one(ask: Ask, hub: DataHub, tmp_path: Path) -> None:
    refused = ask("me/gated", columns=MAPPED)["error"]

    assert "me/gated is given to signed-in users only: accept its terms" in refused
    assert "HF_TOKEN" in refused
    for signed_in in asking(hub, tmp_path, HF_TOKEN=hub.token):
        assert counts(signed_in("me/gated", columns=MAPPED))["test"] == 4
        assert "no data set me/none" in signed_in("me/none")["error"]


def test_an_unknown_set_and_one_that_is_a_script_are_refused(ask: Ask) -> None:
    assert "there is no data set me/none on the Hugging Face hub" in ask("me/none")["error"]
    assert "me/script is a Python script, which is never run here" in ask("me/script", columns=MAPPED)["error"]


def test_a_hub_that_is_down_is_named_with_what_goes_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    with pytest.raises(QuestionsError, match=r"could not be had .*ConnectError.*questions\.source=file"):
        load_questions(QuestionsParameters(source="hub", options={"dataset": "me/one"}))


def test_a_folder_that_datasets_loads_needs_no_hub(tmp_path: Path) -> None:
    for file, content in REPOSITORIES["me/two"].files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    options = {"dataset": str(tmp_path), "configuration": "main", "columns": MAPPED}

    table = load_questions(QuestionsParameters(source="hub", options=options, **NUMBERS))

    assert table["split"].value_counts().to_dict() == {"train": 27, "test": 4, "validation": 2, "exemplar": 1}
    assert not asks_the_hub(checked(policy={"model": "builtin:tiny"}, questions={"source": "hub", "options": options}))


@pytest.mark.parametrize(
    "questions",
    [
        {"source": "hub", "options": {"dataset": "me/one"}},
        {"source": "file", "options": {"path": "hf://datasets/me/one/data.jsonl"}},
        {"transfer": {"one": {"source": "hub", "dataset": "me/one"}}},
        {"transfer": {"hub": {"dataset": "me/one"}}},
    ],
)
def test_the_libraries_stay_online_for_questions_of_the_hub(questions: dict[str, Any]) -> None:
    assert asks_the_hub(checked(policy={"model": "builtin:tiny"}, questions=questions))
    assert not asks_the_hub(checked(policy={"model": "builtin:tiny"}))

"""restem trace: from a question to the policies that learned from it, and back."""

from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.io import DataCatalog, MemoryDataset

from restem.__main__ import restem
from restem.errors import LineageError
from restem.lineage import Wanted, find, origin, steps
from tests.conftest import Project


@pytest.fixture
def learned(finished: Project) -> dict[str, Any]:
    """A row of the first training set."""
    return dict(finished.catalog().load("iteration_1.training_set").head(1).to_dict("records")[0])


def traced(project: Project, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(project.folder)
    return CliRunner().invoke(restem, ["trace", "--env", "tiny", *arguments])


def test_a_question_is_followed_through_every_iteration(finished: Project, learned: dict[str, Any]) -> None:
    catalog = finished.catalog()

    found = list(steps(catalog, Wanted(learned["question_id"])))

    assert [step.iteration for step in found] == [0, 1, 2]
    assert [len(step.samples) for step in found] == [0, 64, 64]
    for step in found:
        assert step.policy == catalog.load(f"policy_{step.iteration}")
    drawn_from = [set(step.samples["policy_id"]) for step in found[1:]]
    assert drawn_from == [{found[0].policy.fingerprint}, {found[1].policy.fingerprint}]


def test_a_training_row_is_traced_back_to_its_sample_and_forth_to_its_policy(
    finished: Project, learned: dict[str, Any]
) -> None:
    wanted = find(finished.catalog(), f"{learned['question_id']}:{learned['sample_index']}@{learned['policy_id']}")

    found = {step.iteration: step for step in steps(finished.catalog(), wanted)}

    assert found[1].samples["completion"].tolist() == [learned["completion"]]
    assert found[1].samples["reason"].tolist() == ["correct"]
    assert found[1].learned["completion"].tolist() == [learned["completion"]]
    assert len(found[2].samples) == len(found[2].learned) == 0


def test_the_journal_entries_of_a_training_row_are_those_that_hold_it(
    finished: Project, learned: dict[str, Any]
) -> None:
    catalog = finished.catalog()
    wanted = Wanted(learned["question_id"], learned["sample_index"], learned["policy_id"])

    entries = next(step.entries for step in steps(catalog, wanted) if step.iteration == 1)

    root = catalog.load("journal").root
    of_kind = {name.partition("-")[0]: root / name for name in entries}
    assert set(of_kind) == {"samples", "scores", "training", "policy"}
    in_training = pd.concat(map(pd.read_parquet, of_kind["training"].glob("*.parquet")))
    assert learned["question_id"] in set(in_training["question_id"])


def test_an_evaluated_question_shows_its_answers_under_every_policy(finished: Project) -> None:
    evaluation = finished.catalog().load("evaluation_2")
    asked = evaluation.loc[evaluation["suite"] == "test", "question_id"].iloc[0]

    found = list(steps(finished.catalog(), Wanted(asked)))

    assert [len(step.samples) for step in found] == [0, 0, 0]
    assert [len(step.answers) for step in found] == [5, 5, 5]
    assert [step.evaluation["suite"].tolist() for step in found] == [["test"]] * 3


def test_the_command_prints_the_way_of_a_question(
    finished: Project, learned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = finished.catalog()

    shown = traced(finished, monkeypatch, learned["question_id"])

    assert shown.exit_code == 0, shown.output
    text = catalog.load("questions").set_index("question_id").loc[learned["question_id"], "text"]
    row = f"learned {learned['question_id']}:{learned['sample_index']}@{learned['policy_id']}"
    in_order = [text, "iteration 0", "iteration 1", "64 samples", row, "policy_1", "iteration 2", "policy_2"]
    places = [shown.output.find(part) for part in in_order]
    assert -1 not in places
    assert places == sorted(places)


def test_the_id_that_the_command_prints_is_one_that_it_takes(
    finished: Project, learned: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = traced(finished, monkeypatch, learned["question_id"]).output
    row = next(line for line in printed.splitlines() if "M-step: learned" in line).split()[2].rstrip(",")

    shown = traced(finished, monkeypatch, row)

    assert shown.exit_code == 0, shown.output
    assert f"{row} train sampled: correct (1)" in shown.output


def test_an_id_may_be_cut_short_where_it_names_one_question(finished: Project, learned: dict[str, Any]) -> None:
    policy = finished.catalog().load("policy_0").fingerprint
    short = f"{learned['question_id'][:12]}:{learned['sample_index']}@{policy[:8]}"

    assert find(finished.catalog(), short) == Wanted(learned["question_id"], learned["sample_index"], policy)


def test_a_policy_may_be_named_by_its_iteration(finished: Project, learned: dict[str, Any]) -> None:
    wanted = find(finished.catalog(), f"{learned['question_id']}:0@policy_1")

    found = {step.iteration: step for step in steps(finished.catalog(), wanted)}

    assert wanted.policy_id == finished.catalog().load("policy_1").fingerprint
    assert [len(found[i].samples) for i in range(3)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name: name[:-1] + "zz", "no question .*; near it: .*"),
        (lambda name: name + ":100000", "has no sample 100000; .*restem trace"),
        (lambda name: name + ":0@nobody", "no policy 'nobody'"),
        (lambda name: "", "has no question ''"),
    ],
)
def test_an_unknown_id_is_refused_with_what_is_near(
    finished: Project, learned: dict[str, Any], change: Any, message: str
) -> None:
    with pytest.raises(LineageError, match=message):
        list(steps(finished.catalog(), find(finished.catalog(), change(learned["question_id"]))))


def test_an_id_that_begins_several_is_refused_with_their_names() -> None:
    catalog = memory(candidate_questions=pd.DataFrame({"question_id": ["sum-1", "sum-2", "gcd-1"]}))

    with pytest.raises(LineageError, match=r"'sum' begins the names of 2 .*: sum-1, sum-2"):
        find(catalog, "sum")


def test_a_question_id_with_a_colon_is_a_question() -> None:
    catalog = memory(candidate_questions=pd.DataFrame({"question_id": ["set:7", "set:8"]}))

    assert find(catalog, "set:7") == Wanted("set:7")
    assert find(catalog, "set:7:3") == Wanted("set:7", 3)


def test_a_question_that_was_left_out_says_why() -> None:
    question = {"question_id": "a", "text": "?", "gold": "{}", "split": "train"}
    catalog = memory(
        candidate_questions=pd.DataFrame([question]),
        questions=pd.DataFrame([question | {"question_id": "b"}]),
        near_duplicates=pd.DataFrame({"question_id": [], "same_as": []}),
        quarantined_questions=pd.DataFrame([question | {"reason": "its gold earns 0"}]),
    )

    assert origin(catalog, Wanted("a")).left_out == "its gold earns 0 (quarantined_questions)"


def test_an_experiment_without_questions_says_what_to_run() -> None:
    with pytest.raises(LineageError, match="kedro run --pipelines=prepare"):
        find(memory(), "a")


def memory(**tables: pd.DataFrame) -> DataCatalog:
    return DataCatalog({name: MemoryDataset(table) for name, table in tables.items()})

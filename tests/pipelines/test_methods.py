"""Methods on the tiny preset: each is a few lines of YAML, and what they switch shows in the tables.

All run in one project, each as an experiment of its own, so that what they have in common is done once.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.errors import EmptyTrainingSetError, ExperimentError, ParameterError
from tests.conftest import Project

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "em__iterations": 1,
    "questions__n_train": 16,
    "questions__n_validation": 4,
    "questions__n_test": 8,
    "questions__options": {"answers_are_solutions": True},
    "training__epochs": 1,
    "training__eval_every": None,
}
EVERYTHING_IS_KEPT = {"filtering__min_reward": 0.0, "filtering__weight": "exponential"}
KEYS = ["policy_id", "question_id", "sample_index"]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("family"))
    before = Path.cwd()
    os.chdir(project.folder)
    yield project
    os.chdir(before)


def run(family: Project, method: str, **changes: Any) -> Any:
    """Return the catalog of an experiment that a method made; `to` is the dataset that it ends with."""
    family.run(method=method, experiment=method, **{**SMALL, **changes})
    return family.catalog(experiment=method)


def choose(family: Project, method: str, **changes: Any) -> Any:
    """Return the catalog of an experiment in which a method chose what to train on, and nothing is trained."""
    return run(family, method, to="iteration_1.training_set", **changes)


def frame(catalog: Any, name: str) -> pd.DataFrame:
    return catalog.load(name).to_pandas()


def rows(table: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(table[KEYS].itertuples(index=False, name=None))


def test_rest_goes_on_from_the_previous_policy_with_human_data_mixed_in(family: Project) -> None:
    catalog = run(family, "rest", em__iterations=2)
    policies = [catalog.load(f"policy_{i}") for i in range(3)]

    assert [policy.trained_from for policy in policies[1:]] == [policies[0].fingerprint, policies[1].fingerprint]
    for i in (1, 2):
        assert set(frame(catalog, f"iteration_{i}.training_set")["policy_id"]) == {"human", policies[i - 1].fingerprint}


def test_another_method_in_the_same_experiment_is_refused_unless_forced(family: Project) -> None:
    asked = {**SMALL, "em__iterations": 3, "to": "iteration_3.samples", "experiment": "rest"}

    with pytest.raises(ExperimentError, match=r"iteration 2 was made with method=rest, .* now it is method=raft, "):
        family.run("em_iteration", method="raft", **asked)
    with pytest.raises(ExperimentError, match=r"made with sampling\.n=64, and now it is sampling\.n=8"):
        family.run("iteration_3", method="rest", sampling__n=8, **asked)
    family.run("em_iteration", method="raft", sampling__n=8, em__allow_changes=True, **asked)

    assert len(family.catalog(experiment="rest").load("iteration_3.samples")) == 16 * 8


def test_exit_learns_from_the_best_samples_of_all_iterations(family: Project) -> None:
    catalog = run(family, "exit", em__iterations=2, to="kept_2")
    first, second = (frame(catalog, f"iteration_{i}.training_set") for i in (1, 2))

    assert set(second["policy_id"]) == {catalog.load(f"policy_{i}").fingerprint for i in (0, 1)}
    assert first["question_id"].is_unique
    kept = frame(catalog, "kept_2")
    assert rows(kept[kept["policy_id"] != "human"]) == rows(first) | rows(second)


def test_adaptive_asks_again_only_where_too_little_was_correct(family: Project) -> None:
    catalog = choose(family, "adaptive", sampling__follow_up={"rounds": 2, "until_correct": 2})
    scored, again = (frame(catalog, f"iteration_1.{name}") for name in ("scored_samples", "follow_up_samples"))
    n_correct = scored.groupby("question_id")["reward"].sum()

    assert set(again["question_id"]) == set(n_correct.index[n_correct < 2])
    assert again["sample_index"].min() == 64


def test_star_gives_hints_where_it_failed_and_trains_without_them(family: Project) -> None:
    catalog = run(family, "star", to="policy_1", filtering__distinct=False, **EVERYTHING_IS_KEPT)
    scored, hinted = (frame(catalog, f"iteration_1.{name}") for name in ("scored_samples", "follow_up_samples"))
    trained, prompts = frame(catalog, "iteration_1.training_set"), catalog.load("prompts")

    assert (scored["decoding"] == "greedy").all()
    assert set(hinted["question_id"]) == set(scored.loc[scored["reward"] < 1, "question_id"])
    assert not set(hinted["prompt_id"]) & set(prompts["prompt_id"])
    assert rows(trained) & rows(hinted)
    assert set(trained["prompt"]) <= set(prompts["prompt"])
    assert not trained["prompt"].str.contains("The answer is").any()


def test_rwr_trains_on_every_sample_by_the_exponential_of_its_reward(family: Project) -> None:
    catalog = run(family, "rwr", to="policy_1")
    scored = frame(catalog, "iteration_1.scored_samples")
    weighed = frame(catalog, "iteration_1.training_set").merge(scored[[*KEYS, "reward"]], on=KEYS, validate="1:1")

    something = scored[(scored["completion"] != "") | (scored["finish_reason"] == "stop")]
    assert len(weighed) == len(something.drop_duplicates(["question_id", "completion"]))
    assert set(weighed["reward"]) >= {0.0, 1.0}
    assert weighed["weight"].tolist() == pytest.approx([math.exp((r - 1) / 0.5) for r in weighed["reward"]])


def test_raft_trains_on_one_sample_per_question_and_none_is_better(family: Project) -> None:
    catalog = choose(family, "raft")
    scored = frame(catalog, "iteration_1.scored_samples")
    best = scored.groupby("question_id")["reward"].max()
    trained = frame(catalog, "iteration_1.training_set").merge(scored, on=KEYS, validate="1:1", suffixes=("", "_"))

    assert set(trained["question_id"]) == set(best.index[best > 0])
    assert trained["question_id"].is_unique
    assert (trained["reward"] == trained["question_id"].map(best)).all()


def test_rest_star_trains_on_one_correct_sample_per_question(family: Project) -> None:
    catalog = choose(family, "rest_star")
    scored = frame(catalog, "iteration_1.scored_samples")
    trained = frame(catalog, "iteration_1.training_set")

    assert trained["question_id"].is_unique
    assert rows(trained) <= rows(scored[scored["reward"] == 1])
    assert set(trained["question_id"]) == set(scored.loc[scored["reward"] == 1, "question_id"])


def test_rft_trains_once_on_many_distinct_samples_and_the_human_solutions(family: Project) -> None:
    catalog = choose(family, "rft")
    trained, questions = frame(catalog, "iteration_1.training_set"), catalog.load("questions")
    human = trained[trained["policy_id"] == "human"]

    assert frame(catalog, "iteration_1.samples").groupby("question_id").size().eq(100).all()
    # What a person wrote and a sample says in the same words counts once.
    assert set(human["question_id"]) <= set(questions.loc[questions["split"] == "train", "question_id"])
    assert set(trained["question_id"]) == set(questions.loc[questions["split"] == "train", "question_id"])
    assert not trained.duplicated(["question_id", "completion"]).any()


def test_iml_samples_other_questions_in_every_iteration_from_the_policy_so_far(family: Project) -> None:
    catalog = run(family, "iml", em__iterations=2, sampling__n_questions=8, to="policy_2")
    asked = [set(frame(catalog, f"iteration_{i}.samples")["question_id"]) for i in (1, 2)]
    policies = [catalog.load(f"policy_{i}") for i in range(3)]

    assert [len(ids) for ids in asked] == [8, 8]
    assert not asked[0] & asked[1]
    assert [policy.trained_from for policy in policies[1:]] == [policy.fingerprint for policy in policies[:2]]


def test_human_solutions_are_learned_from_alone(family: Project) -> None:
    catalog = run(family, "sft_human", to="policy_1")
    trained = frame(catalog, "iteration_1.training_set")

    assert set(trained["policy_id"]) == {"human"}
    assert len(trained) == 16


def test_human_solutions_can_be_cut_to_what_the_policy_solves(family: Project) -> None:
    catalog = choose(family, "rest_em", filtering={"learn_from": ["human"], "only_solved": True})
    scored = frame(catalog, "iteration_1.scored_samples")
    trained = frame(catalog, "iteration_1.training_set")

    assert set(trained["policy_id"]) == {"human"}
    assert set(trained["question_id"]) == set(scored.loc[scored["reward"] == 1, "question_id"])


def test_distillation_trains_the_base_policy_on_samples_of_the_teacher(family: Project) -> None:
    teacher = run(family, "sft_human", to="policy_1").load("policy_1")

    catalog = run(family, "distill", to="policy_1", policy__teacher=str(family.folder / teacher.path))
    base, student = catalog.load("policy_0"), catalog.load("policy_1")

    assert catalog.load("teacher").fingerprint == teacher.fingerprint
    assert set(frame(catalog, "iteration_1.samples")["policy_id"]) == {teacher.fingerprint}
    assert set(frame(catalog, "iteration_1.training_set")["policy_id"]) == {teacher.fingerprint}
    assert student.trained_from == base.fingerprint


def test_learning_from_people_where_there_are_none_says_what_is_missing(family: Project) -> None:
    with pytest.raises(EmptyTrainingSetError, match=r"no training question has a human solution \(gold.solution\)"):
        family.run(method="sft_human", experiment="nobody", **{**SMALL, "questions__options": {}})


def test_unknown_method_stops_before_anything_runs(family: Project) -> None:
    with pytest.raises(ParameterError, match="method must be one of adaptive, "):
        family.run("prepare", method="magic")

"""The file of a study: what it may say, and what every experiment is then run with."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from restem.configuration.check import check_parameters
from restem.errors import StudyError
from restem.evaluation.comparisons import holm
from restem.studies.runs import experiments_of
from restem.studies.study import Study, differences, known_studies, read_study, refuse_equals
from tests.builders import read_preset

STUDIES = Path(__file__).parents[2] / "conf" / "studies"
OF_THE_PAPER = {
    "iterations",
    "train_test_gap",
    "pass_at_k",
    "human_vs_self",
    "distillation",
    "reset_vs_continue",
    "dataset_size",
    "difficulty",
    "general_capability",
    "three_iterations_vs_3x_samples",
    "methods",
}
BASE: dict[str, Any] = {"em": {"iterations": 2}, "sampling": {"n": 8, "engine": "x"}, "policy": {"teacher": None}}


def study(**experiments: Any) -> Study:
    return Study(title="t", question="q", name="s", experiments=experiments)


def written(folder: Path, **content: Any) -> Path:
    path = folder / "own.yml"
    path.write_text(yaml.safe_dump({"title": "t", "question": "q", "experiments": {"a": {}}} | content))
    return path


def test_every_experiment_of_the_paper_is_a_study_that_can_be_read() -> None:
    assert set(known_studies(STUDIES)) == OF_THE_PAPER
    for name in OF_THE_PAPER:
        assert read_study(name, STUDIES).caveat


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["small", "apps"])
def test_every_study_runs_unchanged_on_every_preset(preset: str) -> None:
    for name in OF_THE_PAPER:
        tasks = experiments_of(read_study(name, STUDIES), project=STUDIES.parents[1], env=preset, params={})

        assert [task.parameters.experiment for task in tasks] == [f"{preset}.{name}.{task.name}" for task in tasks]


def test_all_methods_are_compared() -> None:
    methods = yaml.safe_load((STUDIES.parent / "base" / "methods.yml").read_text())
    experiments = read_study("methods", STUDIES).experiments

    compared = {(given or {}).get("method", "rest_em") for given in experiments.values()}

    assert compared == set(methods) - {"rft_pool"}  # which needs files of samples that other models drew


def test_product_is_worked_out_from_the_base() -> None:
    given = study(a={"sampling": {"n": {"product": ["sampling.n", "em.iterations", 3]}, "top_k": 7}})

    found = differences(given, BASE)

    assert found["a"].parameters == {"sampling": {"n": 48, "top_k": 7}}


def test_half_of_an_even_number_is_whole_and_shown_so() -> None:
    given = study(a={"sampling": {"n": {"product": ["sampling.n", 0.5]}}})

    n = differences(given, BASE)["a"].parameters["sampling"]["n"]

    assert (n, type(n)) == (4, int)


def test_borrowed_policy_is_that_of_an_earlier_experiment_unless_the_base_names_one() -> None:
    given = study(a={}, b={"policy": {"teacher": {"policy_of": "a"}}, "env": "tiny"})

    assert differences(given, BASE)["b"] == ("tiny", {}, {"policy.teacher": "a"})
    assert differences(given, BASE | {"policy": {"teacher": "m"}})["b"].borrows == {}


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ({"a": {"sampling": {"n": {"product": ["sampling.engine"]}}}}, r"experiments\.a\.sampling\.n\.product: 'sampl"),
        ({"a": {"sampling": {"n": {"product": 3}}}}, "must be a list of numbers and names of parameters, got 3"),
        ({"a": {"policy": {"teacher": {"policy_of": "b"}}}, "b": {}}, "must be an experiment above it; there is none"),
    ],
)
def test_value_that_refers_to_nothing_is_named(experiments: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        differences(study(**experiments), BASE)


def test_unknown_study_is_named_with_those_there_are() -> None:
    with pytest.raises(StudyError, match=r"no study 'iteration'; known are dataset_size, .*train_test_gap, and any"):
        read_study("iteration", STUDIES)


def test_own_file_is_read_by_its_path(tmp_path: Path) -> None:
    assert read_study(str(written(tmp_path)), STUDIES).name == "own"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"experiments": {}}, "experiments is empty"),
        ({"experiment": {}}, "experiment is not a part of a study"),
        ({"title": None}, "title: .* got None"),
        ({"against": "b"}, "against must be base or one of a, got 'b'"),
        ({"sections": ["magic"]}, r"sections\.0 must be one of .* got 'magic'"),
        ({"experiments": {"a b": {}}}, "a b"),
        ({"experiments": {"a": {"experiment": "x"}}}, r"a\.experiment is the study's to set"),
    ],
)
def test_bad_file_is_refused_with_the_reason(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        read_study(str(written(tmp_path, **content)), STUDIES)


def test_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("a: [1")

    with pytest.raises(StudyError, match=r"own\.yml cannot be read as YAML"):
        read_study(str(tmp_path / "own.yml"), STUDIES)


def test_two_experiments_that_give_the_same_are_refused_whatever_their_method_is_called() -> None:
    one, other = check_parameters(read_preset("tiny")), check_parameters(read_preset("tiny") | {"method": "rft"})
    longer = check_parameters(read_preset("tiny") | {"em": {"iterations": 3}})

    refuse_equals({"a": one, "b": longer}, study="s")
    with pytest.raises(StudyError, match="the experiments a and c have the same parameters"):
        refuse_equals({"a": one, "b": longer, "c": other}, study="s")


def test_holm_multiplies_the_smallest_by_their_number_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert holm([]) == []


@pytest.mark.parametrize("p_values", [[0.2, 0.001, 0.03, 0.04, 0.5], [1.0, 1.0], [0.05]])
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())

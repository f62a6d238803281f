"""The experiment: prepare, measure the base policy, iterate, report. Read this first."""

from kedro.pipeline import Pipeline

from restem import experiment
from restem.pipelines import (
    comparison,
    evaluation,
    filtering,
    preparation,
    recording,
    reporting,
    sampling,
    scoring,
    training,
)
from restem.store.names import namespace_of

SHARED_INPUTS = {"questions", "questions_summary", "prompts", "journal"}
SHARED_PARAMETERS = {
    "params:em",
    "params:prompt",
    "params:sampling",
    "params:scoring",
    "params:filtering",
    "params:training",
    "params:evaluation",
    "params:scale",
}


def register_pipelines() -> dict[str, Pipeline]:
    """Return the stages of the experiment by name, and `em_iteration`: the next one to run."""
    standing = experiment.current_standing()
    prepare = preparation.create_pipeline()
    iterations = {i: em_iteration(i) for i in range(1, standing.iterations + 1)}
    experiment_so_far = Pipeline([baseline(), *iterations.values()])  # at once: adding one by one is quadratic
    return {
        "prepare": prepare,
        "baseline": baseline(),
        **{f"iteration_{i}": pipeline for i, pipeline in iterations.items()},
        "em_iteration": next_iteration(standing),
        "compare": compare(standing.iterations),
        "__default__": prepare + experiment_so_far + compare(standing.iterations),
    }


def baseline() -> Pipeline:
    """Measure the base policy, as every later one will be measured."""
    return Pipeline(
        [evaluation.create_pipeline(), recording.create_baseline_pipeline()],
        namespace=namespace_of(0),
        inputs={**_same(SHARED_INPUTS), "evaluated_policy": "policy_0", "kept": "kept_0"},
        outputs={
            "evaluation": "evaluation_0",
            "greedy_answers": "greedy_answers_0",
            "validation_set": "validation_set_0",
            "record": "record_0",
        },
        parameters=SHARED_PARAMETERS - {"params:training"},
        tags="iteration_0",
    )


def em_iteration(i: int) -> Pipeline:
    """Sample from the last policy, keep what is correct, train the base policy on it, evaluate; i is from 1."""
    return Pipeline(
        [
            sampling.create_pipeline(),
            scoring.create_pipeline(),
            filtering.create_pipeline(),
            training.create_pipeline(),
            evaluation.create_pipeline(),
            recording.create_pipeline(),
        ],
        namespace=namespace_of(i),
        inputs={
            **_same(SHARED_INPUTS),
            "teacher": "teacher",
            "sampling_policy": f"policy_{i - 1}",
            "base_policy": "policy_0",
            "record_before": f"record_{i - 1}",
            "evaluation_before": f"evaluation_{i - 1}",
            "base_evaluation": "evaluation_0",
            "evaluated_policy": f"policy_{i}",
        },
        outputs={
            "kept": f"kept_{i}",
            "trained_policy": f"policy_{i}",
            "training_log": f"training_log_{i}",
            "evaluation": f"evaluation_{i}",
            "greedy_answers": f"greedy_answers_{i}",
            "validation_set": f"validation_set_{i}",
            "examples": f"examples_{i}",
            "record": f"record_{i}",
        },
        parameters=SHARED_PARAMETERS,
        tags=f"iteration_{i}",
    )


def compare(last: int) -> Pipeline:
    """Compare policy_0 .. policy_last question by question, and write the page about the experiment."""
    return comparison.create_pipeline(last) + reporting.create_pipeline(last)


def next_iteration(standing: experiment.Standing) -> Pipeline:
    """Run the first iteration that is not complete (or the forced one), and bring the report up to date."""
    i = standing.next_iteration
    first_measure_the_base = Pipeline([]) if standing.has_baseline else baseline()
    return first_measure_the_base + em_iteration(i) + compare(i)


def _same(names: set[str]) -> dict[str, str]:
    return {name: name for name in names}

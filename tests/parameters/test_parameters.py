import pytest

from restem.errors import ParameterError
from tests.builders import checked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filtering": {"max_per_question": 0}}, "filtering.max_per_question must be at least 1, got 0"),
        ({"filtering": {"max_per_qestion": 3}}, "filtering.max_per_qestion is not a parameter"),
        ({"sampling": {"top_p": 0}}, "sampling.top_p must be at least 0.0001, got 0"),
        ({"sampling": {"n": "many"}}, "sampling.n: .* got 'many'"),
        (
            {"filtering": {"choose": "longest"}},
            "filtering.choose must be one of 'random', 'shortest', 'first' or 'best'",
        ),
        ({"samplng": {}}, "samplng is not a parameter"),
        ({"sampling": {"engine": "warp"}}, "sampling.engine must be one of file, openai, .* got 'warp'"),
        ({"experiment": "a/b"}, "experiment must match"),
        ({"scoring": {"warn_above": {"tmeout": 0.1}}}, "scoring.warn_above.*tmeout.* must be one of"),
        ({"scoring": {"warn_above": {"timeout": 2}}}, "scoring.warn_above.timeout must be at most 1"),
        ({"evaluation": {"n": 4, "k": [8]}}, r"evaluation.k must be at most evaluation.n = 4, got \[8\]"),
        ({"training": {"batch_size": 8, "micro_batch_size": 3}}, "training.batch_size must be a multiple of"),
    ],
)
def test_bad_value_is_named_by_the_path_that_the_user_types(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        checked(**changes)


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(ParameterError, match=r"sampling\.n.*training\.epochs"):
        checked(sampling={"n": 0}, training={"epochs": 0})


def test_defaults_are_the_papers_where_it_reports_them() -> None:
    parameters = checked()

    assert (parameters.sampling.temperature, parameters.sampling.top_k) == (0.7, 40)
    assert parameters.filtering.max_per_question == 10
    assert (parameters.evaluation.temperature, parameters.evaluation.top_p) == (1.0, 0.95)

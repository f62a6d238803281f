"""A value that means nothing is refused before any work, by its path; every other one can be worked with."""

import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restem.configuration.check import check_parameters
from restem.configuration.preflight import refuse_unusable
from restem.configuration.resolve import merged, resolve
from restem.engines.arguments import check_request
from restem.errors import ParameterError, RestemError
from restem.parameters import Parameters
from restem.parameters.decides import declared
from restem.sampling import draws
from restem.store.fingerprints import fingerprint
from restem.store.plain import plain
from restem.training.workplace import validation_steps
from tests.conftest import nested

HERE = __name__  # where sources and styles of one's own are, for the tests
OWN_ENGINE = "tests.parameters.test_decides:open_own"
GROUPS = (
    "em", "policy", "questions", "prompt", "sampling", "scoring", "filtering", "training", "evaluation", "tracking",
    "limits", "scale",
)  # fmt: skip
BEGUN: dict[str, Any] = {
    **{group: {} for group in GROUPS},
    "experiment": "e",
    "training": {"lora": {}},
    "evaluation": {"of_suite": {"test": {}}},
}
BY_GROUP = {
    group: [group, *(found.name for found in declared(check_parameters(BEGUN)) if found.name.startswith(f"{group}."))]
    for group in GROUPS
}
_FLOATS = [
    math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-300, -1e-300, 5e-324, -0.0, 0.0, 1e-9, 1e-3, 0.5, 1.0, 1.5, 1e30,
]  # fmt: skip
_INTEGERS = [0, 1, -1, 2, 3, 99, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**8, 10**9, 10**12, 10**30]
_TEXTS = [
    "",
    " ",
    "\n",
    "\0",
    "\ud800",
    "é" * 300,
    "a/b",
    "..",
    "auto",
    "os:getcwd",
    "nan",
    "1e3",
    "{question}",
    "null",
]
_OTHERS = [None, True, False, [], {}, [None], [1, "a"], {"a": 1}, [math.nan], {"a": math.inf}, {"": None}]
ODD = st.one_of(
    st.sampled_from(_FLOATS),
    st.sampled_from(_INTEGERS),
    st.sampled_from(_TEXTS),
    st.sampled_from(_OTHERS),
    st.floats(),
    st.integers(),
    st.text(max_size=20),
    st.lists(st.one_of(st.sampled_from(_INTEGERS), st.sampled_from(_TEXTS)), max_size=3),
)


def asked(name: str, value: Any, begun: dict[str, Any] = BEGUN) -> dict[str, Any]:
    """Return all parameters with one of them, or a whole group, changed."""
    group, _, last = name.rpartition(".")
    return merged(begun, nested({group.replace(".", "__"): {last: value}}) if group else {last: value})


@pytest.mark.parametrize("group", GROUPS)
def test_an_odd_value_is_refused_by_its_path_or_can_be_worked_with(group: str) -> None:
    @settings(max_examples=120, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(BY_GROUP[group]), ODD, st.sampled_from([None, 2, "2"]))
    def holds(name: str, value: Any, most: Any) -> None:
        is_refused_or_works(name, value, most=most)

    holds()


@pytest.mark.parametrize("name", [name for names in BY_GROUP.values() for name in names])
def test_each_of_the_oddest_values_is_refused_or_works(name: str) -> None:
    for value in (*_FLOATS, *_INTEGERS, *_TEXTS, *_OTHERS):
        is_refused_or_works(name, value)


def is_refused_or_works(name: str, value: Any, *, most: Any = None) -> None:
    limited = merged(BEGUN, {"limits": {"samples": most}})
    try:
        parameters = check_parameters(resolve(asked(name, value, limited), methods={"rest_em": {}}, runtime=None))
    except ParameterError as error:
        assert name in str(error), f"{name}={value!r}: {error}"
    else:
        assert parameters.limits.samples is None or parameters.sampling.n <= parameters.limits.samples
        work_with(parameters)


def work_with(parameters: Parameters) -> None:
    """Do what a run does with the values, where that is quick; whatever cannot be done raises."""
    fingerprint(plain(parameters))
    json.dumps(plain({"sampling": parameters.sampling, "training": parameters.training}), allow_nan=False).encode()
    Path("data", parameters.experiment, f"deleted-by-{parameters.experiment}.json").exists()
    for decoding in (*decodings(parameters),):
        check_request(
            ["a"], n=decoding.n, temperature=decoding.temperature, top_k=decoding.top_k, top_p=decoding.top_p,
            max_new_tokens=decoding.max_new_tokens, stop=list(decoding.stop),
        )  # fmt: skip
    training, filtering = parameters.training, parameters.filtering
    if training.eval_every is not None:
        every = max(training.eval_every, training.epochs / 1000)  # that it ends at once is for the range to say
        assert training.epochs * 7 in validation_steps(training.epochs * 7, n_steps_per_epoch=7, every=every)
        assert training.epochs / training.eval_every <= 1e6
    assert math.isfinite(math.exp(-1.0 / filtering.weight_temperature))
    assert training.weight_decay <= 1.0 and training.seed < 2**32
    assert math.isfinite(parameters.scoring.timeout_s + parameters.scale.patience_s)
    assert parameters.em.iterations <= 100
    random.Random(parameters.questions.seed)


def decodings(parameters: Parameters) -> Iterator[Any]:
    sampling, evaluation = parameters.sampling, parameters.evaluation
    own = evaluation.of_suite.get("test")
    yield draws.training_decoding(sampling)
    yield draws.greedy_decoding(sampling, own)
    yield draws._sampled(sampling, evaluation, "test")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("training.seed", 2**32, "training.seed must be less than 4294967296, got 4294967296"),
        ("training.eval_every", 1e-9, "training.eval_every must be at least 0.001, got 1e-09"),
        ("training.weight_decay", 1e300, "training.weight_decay must be at most 1.0, got 1e+300"),
        ("training.learning_rate", math.nan, "training.learning_rate must be a finite number, got nan"),
        ("questions.n_train", 1e8, "questions.n_train must be at most 1000000, got 100000000.0"),
        ("em.iterations", 10**9, "em.iterations must be at most 100, got 1000000000"),
        ("sampling.n", 10**12, "sampling.n must be at most 100000, got 1000000000000"),
        ("sampling.n", True, "sampling.n must be a number, got True"),
        ("sampling.temperature", math.inf, "sampling.temperature must be a finite number, got inf"),
        ("sampling.temperature", 1e308, "sampling.temperature must be at most 1000.0, got 1e+308"),
        ("sampling.temperature", 1e-300, "sampling.temperature must be 0, which is greedy, or from 0.001 to 1000"),
        ("sampling.top_p", 1e-300, "sampling.top_p must be at least 0.0001, got 1e-300"),
        ("sampling.stop", [""], "sampling.stop.0 must have characters, at least 1, got ''"),
        ("scoring.timeout_s", math.inf, "scoring.timeout_s must be a finite number, got inf"),
        ("experiment", "e" * 300, "experiment must have characters, at most 200"),
        ("evaluation.k", [], "evaluation.k must have entries, at least 1, got []"),
        ("prompt.template", "solve it", "prompt.template must hold {question}, in whose place a question is put"),
        ("prompt.of_suite", {"gsm8k": {"template": "x"}}, "prompt.of_suite.gsm8k.template must hold {question}"),
        ("questions.n_exemplars", 0, "questions.n_exemplars must be at least 1 for prompt.style=few_shot, got 0"),
        ("sampling.engine_options", {"a": math.inf}, "sampling.engine_options holds inf, which cannot be written"),
        ("policy.model", "a\0b", "policy.model holds 'a\\x00b', which cannot be written"),
    ],
)
def test_values_that_used_to_fail_late_are_refused_by_path_and_range(name: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        check_parameters(asked(name, value))


@pytest.mark.parametrize("method", [None, 3, [], ["star"], {"star": 1}, True, math.nan, "", "nosuch"])
def test_a_method_that_is_none_is_refused_by_its_path(method: Any) -> None:
    with pytest.raises(ParameterError, match="method must be one of rest_em, got"):
        resolve({**BEGUN, "method": method}, methods={"rest_em": {}}, runtime=None)


def test_limits_that_leave_no_k_keep_the_largest_that_can_be_had() -> None:
    given = merged(BEGUN, {"evaluation": {"n": "8", "k": [4, 8]}, "limits": {"samples": 3.0}})

    evaluation = check_parameters(resolve(given, methods={"rest_em": {}}, runtime=None)).evaluation

    assert (evaluation.n, evaluation.k) == (3, [3])


def own_source(parameters: Any, more: int) -> list[Any]:
    return []


CONSTANT = 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"questions": {"source": "os:getcwd"}}, "questions.source 'os:getcwd' names a part of Python"),
        ({"questions": {"source": "subprocess:run"}}, "questions.source 'subprocess:run' names a part of Python"),
        ({"questions": {"source": "no_such:x"}}, "questions.source 'no_such:x' cannot be imported"),
        ({"questions": {"source": f"{HERE}:own_source"}}, "must take argument 1: missing a required"),
        ({"questions": {"source": f"{HERE}:CONSTANT"}}, "is not a function but int"),
        ({"questions": {"transfer": {"own": {"source": "os:getcwd"}}}}, "questions.transfer.own.source 'os:getcwd'"),
        ({"prompt": {"style": "os:system"}}, "prompt.style 'os:system' names a part of Python"),
        ({"prompt": {"style": f"{HERE}:own_source"}}, "must take argument 1, exemplars=, parameters="),
        ({"sampling": {"engine": "os:system"}}, "the engine 'os:system' names a part of Python"),
        ({"sampling": {"engine_options": {"max_batch": 0}}}, "sampling.engine_options.max_batch must be at least 1"),
        ({"sampling": {"engine_options": {"dtype": "float64"}}}, "dtype must be one of auto, float32, bfloat16"),
        ({"sampling": {"engine_options": {"tensor_parallel_size": 4}}}, "tensor_parallel_size is not an option of the"),
        ({"sampling": {"engine": OWN_ENGINE, "engine_options": {"x": 1}}}, "x is not an option"),
        ({"scoring": {"options": {"math": {"box": "middle"}}}}, "scoring.options.math: .*box must be"),
        ({"scoring": {"options": {"exact": {"box": "last"}}}}, "scoring.options.exact: .*box"),
        ({"scoring": {"options": {"exakt": {}}}}, "scoring.options.exakt: there is no reward 'exakt'"),
        ({"scoring": {"options": {"os:system": {}}}}, "the reward 'os:system' names a part of Python"),
        ({"questions": {"reward": "no_such"}}, "questions.reward: there is no reward 'no_such'"),
        ({"training": {"launcher": "accelerate", "launcher_config": "no/such.yaml"}}, "launcher_config must name"),
    ],
)  # fmt: skip
def test_what_parameters_name_is_looked_at_before_a_run(changed: dict[str, Any], message: str) -> None:
    parameters = check_parameters(merged(BEGUN, changed))

    with pytest.raises(RestemError, match=message):
        refuse_unusable(parameters)


def test_what_is_there_and_fits_is_not_refused() -> None:
    refuse_unusable(check_parameters(BEGUN))
    own = {
        "questions": {"source": "tests.parameters.test_decides:own_source"},
        "scoring": {"options": {"math": {"box": "last"}}},
    }
    refuse_unusable(check_parameters(merged(BEGUN, own)))


def test_checking_parameters_opens_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError(f"opened {arguments}")

    for method in ("open", "read_text", "read_bytes"):
        monkeypatch.setattr(Path, method, refuse)
    monkeypatch.setattr("builtins.open", refuse)

    gone = {"training": {"launcher": "accelerate", "launcher_config": "moved/away.yaml", "processes": 2}}
    checked = check_parameters(merged(BEGUN, gone | {"sampling": {"engine": "my_pkg.gone:engine"}}))

    assert checked.training.launcher_config == "moved/away.yaml"

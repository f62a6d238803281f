"""`--params` as it is typed: lists, mappings and texts with commas are read, and what is suggested reads the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restem import suggestions
from restem.configuration.command_line import read_params
from restem.errors import ParameterError

ODD = ["a, b", "it's", "null", "1e3", "a: b", "- x", "a #b", "x\ny", "[", "{", '"', "a,", "=", "007", "12:30", "", "é "]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(ODD),
    st.text("ab ,:'\"[]{}=#-.1", max_size=6),
)
VALUES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3), st.dictionaries(st.sampled_from(["x", "y z", "1"]), parts, min_size=1, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        ("em.seed=3,experiment=x", {"em": {"seed": 3}, "experiment": "x"}),
        ("evaluation.k=[1,2],em.seed=3", {"evaluation": {"k": [1, 2]}, "em": {"seed": 3}}),
        ("em.stop_when=[overfitting]", {"em": {"stop_when": ["overfitting"]}}),
        ("a={x: 1, y: [2,3]},b=4", {"a": {"x": 1, "y": [2, 3]}, "b": 4}),
        ("a='it''s, so',b=\"p, q\"", {"a": "it's, so", "b": "p, q"}),
        ('a=["x, ]", y]', {"a": ["x, ]", "y"]}),
        ("a=it's,b=a [1", {"a": "it's", "b": "a [1"}),
        ("scale.address=10.0.0.7:6379, em.seed=1", {"scale": {"address": "10.0.0.7:6379"}, "em": {"seed": 1}}),
        ("a=b=c,d=", {"a": "b=c", "d": None}),
    ],
)
def test_values_are_read_as_yaml_and_divided_where_they_end(text: str, params: dict[str, Any]) -> None:
    assert read_params(text) == params


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(VALUES, VALUES)
def test_what_a_suggested_command_holds_is_read_as_it_was(value: Any, other: Any) -> None:
    assert read_params(f"a.b={suggestions._typed(value)},c={suggestions._typed(other)}") == {
        "a": {"b": value},
        "c": other,
    }


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.text("ab=,[]{}'\". :1$\\#", max_size=14))
def test_any_text_is_read_or_refused_by_what_cannot_be_read(text: str) -> None:
    try:
        read_params(text)
    except ParameterError as error:
        assert str(error).startswith("--params is NAME=VALUE,NAME=VALUE, and ")

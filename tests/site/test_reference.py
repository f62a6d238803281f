"""The reference: what is read from the code, and that nothing in it is left open."""

import pytest
from tools.site.commands import command_pages, commands, options_of
from tools.site.comments import comments_of
from tools.site.parameters import NO_UNIT, OPTIONS, SOURCES, by_group, parameter_tables, rows_of

from restem.parameters import Parameters
from restem.parameters.decides import declared
from tests.configuration.test_documented_parameters import configured

ROWS = [row for rows in by_group().values() for row in rows]
OF_SOURCES = [row for kind in SOURCES.values() for row in rows_of(kind, OPTIONS)]
OF_PAPER = {
    "em.iterations", "prompt.style", "sampling.n", "sampling.temperature", "sampling.top_k", "filtering.min_reward",
    "filtering.max_per_question", "filtering.only_solved", "training.start_from", "evaluation.n",
    "evaluation.temperature", "evaluation.top_p",
}  # fmt: skip


@pytest.mark.parametrize("row", [*ROWS, *OF_SOURCES], ids=lambda row: row.name)
def test_no_parameter_lacks_anything(row) -> None:
    assert all(row), f"{row.name} lacks one of these: {row}. Comments and units are in src/restem/parameters/"
    assert row.meaning.strip(".").lower() not in ("paper", "ours", "likewise")
    assert (row.unit == NO_UNIT) != ("number" in row.type or row.name == "scoring.warn_above")


def test_every_parameter_that_can_be_set_is_there() -> None:
    optional = {"training": {"lora": {}}, "sampling": {"reasoning": {"budget": 1}}}
    parameters = configured(runtime={**optional, "evaluation": {"of_suite": {"test": {}}}})
    names = {parameter.name.replace("of_suite.test", "of_suite.SUITE") for parameter in declared(parameters)}

    assert {row.name for row in ROWS} == names
    assert {row.name.split(".")[0] for row in ROWS} == set(Parameters.__dataclass_fields__)


def test_says_what_is_declared() -> None:
    rows = {row.name: row for row in ROWS}

    assert {name for name, row in rows.items() if row.source == "paper"} == OF_PAPER
    assert rows["sampling.temperature"]._asdict() | {"meaning": ""} == {
        "name": "sampling.temperature", "type": "number", "unit": "logits", "range": "0.0 to 1,000.0", "default": "0.7",
        "source": "paper", "decides": "samples", "meaning": "",
    }  # fmt: skip
    assert rows["sampling.max_new_tokens"].default == "8"  # of conf/base/parameters.yml, not of the class
    assert rows["questions.n_train"].range == "0 to 1,000,000, or null"
    assert rows["training.schedule"].range == "linear, cosine, constant"
    assert rows["scoring.workers"].decides == "no result"
    assert '<span id="training.lora.rank">' in parameter_tables()


class Commented:
    # Above,
    # in two lines.
    one: int = 1  # and behind
    two: tuple[int, ...] = (  # inside
        2,  # as well
        3,
    )
    three: int = 3


def test_reads_the_comments_above_and_behind() -> None:
    assert comments_of(Commented) == {"one": "Above, in two lines. and behind", "two": "inside as well", "three": ""}


@pytest.mark.parametrize("shown", [*commands()], ids=lambda shown: shown.name)
def test_no_command_or_option_lacks_a_sentence(shown) -> None:
    assert shown.command.help
    assert [typed for typed, said in options_of(shown) if not said.strip()] == []


def test_what_a_command_says_is_text_and_no_code() -> None:
    page = command_pages()

    assert "## `restem journal`\n" in page and "## `restem journal prune`\n" in page
    outside = "".join(page.split("```")[::2])
    assert [line for line in outside.splitlines() if line.startswith("    ")] == []

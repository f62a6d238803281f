import re
from typing import Any
from xml.dom import minidom

import pandas as pd
import pytest

from restem.evaluation.metrics import Measured
from restem.reporting import figures


def measured(value: float) -> Measured:
    return Measured(value=value, low=value - 0.05, high=value + 0.05, n=100)


METRICS = {
    i: {
        **{
            f"{suite}/pass_at_{k}": measured(0.2 + 0.1 * i + 0.02 * k)
            for suite in ("test", "train")
            for k in (1, 2, 16)
        },
        "test/greedy_pass_at_1": measured(0.25 + 0.1 * i),
    }
    for i in range(3)
}
FILTERING = {
    i: {
        "n_samples": 200,
        "n_correct": 100,
        "n_kept": 50,
        "dropped": {
            "below_min_reward": 100,
            "truncated": 0,
            "repeated": 30,
            "over_cap": 20,
        },
    }
    for i in (1, 2)
}
NAN = float("nan")
LOGS = {
    1: pd.DataFrame(
        {
            "step": [1, 2, 3],
            "loss": [2.0, 1.0, 0.5],
            "validation_reward": [0.25, NAN, 0.125],
            "validation_loss": [1.5, NAN, 1.0],
        }
    )
}

DRAWN = {
    "pass_at_1": lambda: figures.pass_at_1_by_iteration(METRICS),
    "gap": lambda: figures.train_against_test(METRICS),
    "pass_at_k": lambda: pass_at_k(METRICS),
    "kept": lambda: figures.kept_and_dropped(FILTERING),
    "loss": lambda: figures.training_loss(LOGS),
    "validation": lambda: figures.validation_curves(LOGS),
}


def pass_at_k(metrics: Any) -> Any:
    curves = {figures.policy_label(i): figures.pass_at_k_of(metrics[i], suite="test") for i in metrics}
    return figures.pass_at_k_of_policies(curves, title="pass@k")


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_pass_at_1_shows_only_suites_that_were_measured() -> None:
    assert legend(figures.pass_at_1_by_iteration(METRICS)) == ["test, sampled", "test, greedy"]


def test_intervals_are_drawn_at_their_ends() -> None:
    axes = figures.train_against_test(METRICS).axes[0]

    bars = [segment for container in axes.containers for segment in container[2][0].get_segments()]
    assert len(bars) == 6
    assert bars[0][:, 1] == pytest.approx([0.17, 0.27])


def test_parts_of_a_bar_add_up_to_all_samples() -> None:
    axes = figures.kept_and_dropped(FILTERING).axes[0]

    assert [patch.get_height() for patch in axes.patches] == pytest.approx(
        [0.25] * 2 + [0.1] * 2 + [0.15] * 2 + [0.5] * 2
    )
    assert axes.figure.legends[0].get_texts()[1].get_text() == "over the cap"
    assert axes.patches[-1].get_y() + axes.patches[-1].get_height() == pytest.approx(1.0)


def test_pass_at_k_curves_follow_k_in_order() -> None:
    lines = pass_at_k(METRICS).axes[0].lines

    assert [line.get_label() for line in lines] == ["base policy", "iteration 1", "iteration 2"]
    assert list(lines[0].get_xdata()) == [1, 2, 16]
    assert list(lines[0].get_ydata()) == pytest.approx([0.22, 0.24, 0.52])


def test_curves_of_every_k_are_marked_at_powers_of_two() -> None:
    every_k = {k: measured(0.2 + 0.01 * k) for k in range(1, 12)}

    (axes,) = figures.pass_at_k_of_policies({"base policy": every_k}, title="pass@k").axes

    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4", "8"]
    assert len(axes.lines[0].get_xdata()) == 11
    assert axes.lines[0].get_markevery() == [0, 1, 3, 7, 10]


def test_training_loss_has_a_line_per_iteration() -> None:
    (line,) = figures.training_loss(LOGS).axes[0].lines

    assert list(line.get_ydata()) == [2.0, 1.0, 0.5]


def test_validation_curves_mark_the_best_reward_whatever_the_loss() -> None:
    rewards, losses = figures.validation_curves(LOGS).axes

    curve, best = rewards.lines
    assert list(curve.get_ydata()) == [0.25, 0.125]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([1], [0.25])
    assert list(losses.lines[0].get_ydata()) == [1.5, 1.0]


def test_only_trainings_with_a_validation_have_a_curve_of_it_even_if_nothing_was_right() -> None:
    without = LOGS[1].assign(validation_reward=NAN, validation_loss=NAN)
    all_wrong = LOGS[1].assign(validation_reward=[0.0, NAN, 0.0])

    rewards, _ = figures.validation_curves({1: without, 2: all_wrong, 3: LOGS[1][["step", "loss"]]}).axes

    assert [line.get_label() for line in rewards.lines if len(line.get_xdata()) > 1] == ["iteration 2"]


@pytest.mark.parametrize("name", ["pass_at_k", "kept"])
def test_the_same_figure_gives_the_same_bytes(name: str) -> None:
    draw = DRAWN[name]

    assert figures.to_svg(draw(), name=name) == figures.to_svg(draw(), name=name)


@pytest.mark.parametrize("name", DRAWN)
def test_an_inline_figure_takes_the_colour_of_the_page_and_has_ids_of_its_own(name: str) -> None:
    svg = figures.to_svg(DRAWN[name](), name=name)

    minidom.parseString(svg)
    assert "currentColor" in svg
    assert "#1a1b1c" not in svg.lower()
    assert all(found.startswith(f"{name}-") for found in re.findall(r'\bid="([^"]*)"', svg))
    references = re.findall(r"url\(#([^)]*)\)", svg) + re.findall(r'href="#([^"]*)"', svg)
    assert set(references) <= set(re.findall(r'\bid="([^"]*)"', svg))


def test_a_policy_without_numbers_has_no_curve() -> None:
    assert pass_at_k({0: {}}).axes[0].lines[:] == []
    assert legend(pass_at_k({0: {}, 1: METRICS[1]})) == ["iteration 1"]

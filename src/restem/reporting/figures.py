"""The figures of an experiment, as matplotlib Figures; nothing global is touched.

Every function takes plain data by iteration, 0 being the base policy. Colours are those of Okabe and Ito 2008,
https://jfly.uni-koeln.de/color/, which colour-blind people can tell apart; markers and dashes differ as well.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from restem.evaluation.metrics import Measured
from restem.filtering.selection import DROPPED
from restem.store.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Metrics = Mapping[int, Mapping[str, Measured]]  # by iteration, from summarise_evaluation

_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _RED, _PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
_LINES = (_BLUE, _RED, _GREEN, _PURPLE, _ORANGE, _SKY)
_MARKERS = "osD^vP"
_DASHES = ("-", "--", "-.", ":")
_INK = "#1A1B1C"  # used for nothing else, so that a page can give it its own colour
_INCHES = (4.8, 3.0)  # a phone's width at 10 points
_DPI = 150  # of the PNG files
_LABELLED = 0.08  # a smaller part of a bar has no room for its number
_PASS_AT_1 = {"sampled": "pass_at_1", "greedy": "greedy_pass_at_1"}
_FATES = {"kept": _GREEN, "over_cap": _SKY, "repeated": _YELLOW, "below_min_reward": _ORANGE}  # of the samples


def pass_at_1_by_iteration(metrics: Metrics, *, suites: Sequence[str] = ("test", "validation")) -> "Figure":
    """Return greedy and sampled pass@1 of each suite by iteration, with 95 % intervals."""
    present = [suite for suite in suites if any(f"{suite}/pass_at_1" in numbers for numbers in metrics.values())]
    series = {f"{suite}, {how}": f"{suite}/{name}" for suite in present for how, name in _PASS_AT_1.items()}
    return _by_iteration(metrics, series, title="pass@1 by iteration", vertical="pass@1")


def train_against_test(metrics: Metrics) -> "Figure":
    """Return sampled pass@1 on the questions trained on and on those held out, by iteration."""
    series = {suite: f"{suite}/pass_at_1" for suite in ("test", "validation", "train")}
    return _by_iteration(metrics, series, title="Train against test", vertical="pass@1, sampled")


def by_difficulty(metrics: Metrics) -> "Figure":
    """Return sampled pass@1 by iteration, a line per group of questions that are equally hard for the base policy.

    Args:
        metrics: By iteration and group.
    """
    groups = dict.fromkeys(name for numbers in metrics.values() for name in numbers)
    series = {f"base {name}": name for name in groups}
    return _by_iteration(metrics, series, title="pass@1 by difficulty", vertical="pass@1, sampled")


def kept_and_dropped(filtering: Mapping[int, Mapping[str, Any]]) -> "Figure":
    """Return what became of the samples of each iteration, as stacked bars.

    Args:
        filtering: The `filtering_summary` by iteration.
    """
    figure, axes = _figure("What became of the samples", "iteration", "share of the samples")
    iterations = sorted(filtering)
    below = [0.0] * len(iterations)
    for fate, colour in _FATES.items():
        label = DROPPED.get(fate, "kept")
        counts = [filtering[i]["dropped"][fate] if fate in DROPPED else filtering[i]["n_kept"] for i in iterations]
        shares = [n / max(1, filtering[i]["n_samples"]) for i, n in zip(iterations, counts, strict=True)]
        bars = axes.bar(range(len(iterations)), shares, bottom=below, width=0.6, label=label, color=colour)
        numbers = [f"{share:.0%}" if share >= _LABELLED else "" for share in shares]
        axes.bar_label(bars, numbers, label_type="center", color="black", fontsize=9)
        below = [sum(pair) for pair in zip(below, shares, strict=True)]
    axes.set_xticks(range(len(iterations)), [f"{i}\nn = {filtering[i]['n_samples']:,}" for i in iterations])
    axes.set_ylim(0, 1)
    _legend(axes)
    return figure


def pass_at_k_of_policies(curves: Mapping[str, Mapping[int, Measured]], *, title: str) -> "Figure":
    """Return a curve of pass@k over k for every policy, with 95 % intervals.

    Args:
        curves: By what a policy is called: its pass@k by k.
        title: Of the figure.
    """
    figure, axes = _figure(title, "k, samples per question", "pass@k")
    ticks: set[int] = set()
    for index, (label, curve) in enumerate(curves.items()):
        if not curve:
            continue
        marked = [place for place, k in enumerate(curve) if k & (k - 1) == 0 or k == max(curve)]
        ticks |= {k for k in curve if k & (k - 1) == 0}
        values = [number["value"] for number in curve.values()]
        axes.plot(list(curve), values, **_style(index), markevery=marked, label=label)
        axes.fill_between(
            list(curve),
            [number["low"] for number in curve.values()],
            [number["high"] for number in curve.values()],
            color=_style(index)["color"],
            alpha=0.15,
            linewidth=0,
        )
    if ticks:
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(ticks), [str(k) for k in sorted(ticks)])
        axes.minorticks_off()
    axes.set_ylim(0, 1)
    _legend(axes)
    return figure


def side_by_side(points: Mapping[str, Measured], *, title: str) -> "Figure":
    """Return a number of every policy with its 95 % interval, one below the other, the first as a line to compare with.

    Args:
        points: By what a policy is called.
        title: Of the figure.
    """
    figure, axes = _figure(title, "", "")
    figure.set_figheight(1.2 + 0.32 * len(points))
    places = list(range(len(points)))
    values = [point["value"] for point in points.values()]
    left = [max(0.0, point["value"] - point["low"]) for point in points.values()]
    right = [max(0.0, point["high"] - point["value"]) for point in points.values()]
    axes.errorbar(values, places, xerr=[left, right], **_style(0) | {"linestyle": ""}, capsize=3)
    axes.axvline(values[0], color=_INK, alpha=0.4, linewidth=0.8)
    axes.set_yticks(places, list(points))
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.set_xlim(left=0)
    return figure


def training_loss(logs: Mapping[int, Table]) -> "Figure":
    """Return the training loss over optimizer steps, a line per iteration.

    Args:
        logs: The `training_log` by iteration, with columns step and loss.
    """
    figure, axes = _figure("Training loss", "optimizer step", "loss per token")
    for index, i in enumerate(sorted(logs)):
        style = {**_style(index), "marker": "", "linewidth": 1.3}
        axes.plot(logs[i]["step"].tolist(), logs[i]["loss"].tolist(), **style, label=policy_label(i))
    _legend(axes)
    return figure


def validation_curves(logs: Mapping[int, Table]) -> "Figure":
    """Return reward and loss on the validation questions over optimizer steps, a line per iteration with any.

    A larger marker is where the reward was best: those weights are the policy.

    Args:
        logs: The `training_log` by iteration, with columns step, validation_reward and validation_loss.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    reward_axes, loss_axes = figure.subplots(2, sharex=True)
    reward_axes.set_title("Validation during training", loc="left", fontsize=11, color=_INK)
    _dress(reward_axes, "", "greedy reward")
    _dress(loss_axes, "optimizer step", "loss per token")
    for index, i in enumerate(sorted(validated(logs))):
        rewards = logs[i].dropna(subset=["validation_reward"])
        losses = logs[i].dropna(subset=["validation_loss"])
        over, values = rewards["step"].tolist(), rewards["validation_reward"].tolist()
        reward_axes.plot(over, values, **_style(index), label=policy_label(i))
        loss_axes.plot(losses["step"].tolist(), losses["validation_loss"].tolist(), **_style(index))
        if values:
            best = values.index(max(values))
            reward_axes.plot(over[best], values[best], **_style(index) | {"markersize": 10})
    reward_axes.set_ylim(bottom=0)
    _legend(reward_axes)
    return figure


def validated(logs: Mapping[int, Table]) -> list[int]:
    """Return the iterations during whose training the validation questions were asked."""
    return [i for i, log in logs.items() if "validation_reward" in log and log["validation_reward"].notna().any()]


def pass_at_k_of(numbers: Mapping[str, Measured], *, suite: str) -> dict[int, Measured]:
    """Return the pass@k numbers of a suite by k, in order."""
    prefix = f"{suite}/pass_at_"
    known = sorted(int(name.removeprefix(prefix)) for name in numbers if name.startswith(prefix))
    return {k: numbers[f"{prefix}{k}"] for k in known}


def to_svg(figure: "Figure", *, name: str) -> str:
    """Return the figure as an SVG element to put into a page; its ink takes the colour of the page's text.

    The same figure gives the same bytes.

    Args:
        figure: Any of the above.
        name: Prefix of the ids, which must differ within a page.
    """
    import matplotlib as mpl

    _lay_out(figure)
    stream = io.StringIO()
    # Text stays text: it can be read aloud and searched, and takes less room than outlines.
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :].strip(), flags=re.DOTALL)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return re.sub(_INK, "currentColor", svg, flags=re.IGNORECASE)


def to_png(figure: "Figure") -> bytes:
    """Return the figure as PNG; the same figure gives the same bytes."""
    _lay_out(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    return stream.getvalue()


def _lay_out(figure: "Figure") -> None:
    """Place all parts once and for every format: left to savefig, it takes as long as drawing, for each format anew."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)  # what is placed stays there


def _by_iteration(metrics: Metrics, series: Mapping[str, str], *, title: str, vertical: str) -> "Figure":
    figure, axes = _figure(title, "iteration (0 is the base policy)", vertical)
    for index, (label, name) in enumerate(series.items()):
        points = {i: metrics[i][name] for i in sorted(metrics) if name in metrics[i]}
        if not points:
            continue
        # Side by side, so that intervals do not hide one another.
        shift = 0.06 * (index - (len(series) - 1) / 2)
        values = [point["value"] for point in points.values()]
        below = [max(0.0, point["value"] - point["low"]) for point in points.values()]
        above = [max(0.0, point["high"] - point["value"]) for point in points.values()]
        across = [i + shift for i in points]
        axes.errorbar(across, values, yerr=[below, above], **_style(index), capsize=3, label=label)
    axes.set_xticks(sorted(metrics))
    axes.set_ylim(bottom=0)
    _legend(axes)
    return figure


def _figure(title: str, across: str, vertical: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    _dress(axes, across, vertical)
    return figure, axes


def _dress(axes: "Axes", across: str, vertical: str) -> None:
    axes.set_xlabel(across, color=_INK)
    axes.set_ylabel(vertical, color=_INK)
    axes.tick_params(colors=_INK)
    axes.grid(axis="y", color=_INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)


def _legend(axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        # Below the axes: at a phone's width there is no room that data may not need.
        where = {"loc": "outside lower left", "ncols": 2, "frameon": False}
        axes.figure.legend(handles, labels, **where, labelcolor=_INK, fontsize=9)


def _style(index: int) -> dict[str, Any]:
    return {
        "color": _LINES[index % len(_LINES)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _DASHES[index % len(_DASHES)],
        "markersize": 5,
        "linewidth": 1.6,
    }


def policy_label(iteration: int) -> str:
    """Return what the policy of an iteration is called in figures and tables."""
    return "base policy" if iteration == 0 else f"iteration {iteration}"

"""The parts of the report that follow its summary, and how a page is rendered."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem import suggestions
from restem.errors import first_few
from restem.evaluation.intervals import in_text
from restem.evaluation.metrics import GAP, Measured
from restem.filtering.selection import DROPPED
from restem.reporting import figures
from restem.store.plain import flat
from restem.store.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABSENT = "-"  # what stands for a number that was not measured
_ANSWER_SHOWN = 80  # characters


class Link(NamedTuple):
    """A cell that leads to an example of the same page."""

    text: str
    anchor: str

    def __str__(self) -> str:
        """Return what is read where links within a page do not work."""
        return self.text


class Grid(NamedTuple):
    """A table of text; the first cell of a row names it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Link]]
    numbers: bool = True  # a cell is numbers, of which none is wrapped
    folded: bool = False  # shown when it is asked for: what is looked up and not read


class Drawing(NamedTuple):
    """A figure, as an SVG element."""

    caption: str
    svg: str


class ShownSample(NamedTuple):
    """A completion to read."""

    heading: str
    question: str
    completion: str
    anchor: str = ""  # that a cell leads to
    page: str = ""  # where all answers to the question are


class Section(NamedTuple):
    """A heading and what is under it, in this order."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Grid] = ()
    drawings: Sequence[Drawing] = ()
    examples: Sequence[ShownSample] = ()


class Page(NamedTuple):
    """The whole report."""

    experiment: str
    model: str
    n_iterations: int
    summary: Sequence[str]
    sections: Sequence[Section]


def render(template: str, page: Page) -> str:
    """Return the page in the form of a template of restem/templates; HTML is escaped in an .html.j2."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    environment.filters |= {"inline": _inline, "cell": _inline, "fenced": _fenced, "slug": _slug, "unbroken": _unbroken}
    return environment.get_template(template).render(page=page)


def words(name: str) -> str:
    """Return a metric's name as people say it: pass@1 for pass_at_1."""
    return name.replace("_at_", "@").replace("_", " ")


def interval(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """Return a number with its interval as text; a dash for NaN, which is what was not measured."""
    return ABSENT if math.isnan(value) else in_text(value, low, high, signed=signed)


def measured(number: Measured | None, *, signed: bool = False) -> str:
    """Return a metric with its interval as text; a dash if it was not measured."""
    return ABSENT if number is None else interval(number["value"], number["low"], number["high"], signed=signed)


def first_ids(questions: Sequence[str]) -> str:
    """Return how many questions, and the first of them."""
    return f"{len(questions)}: {first_few(questions)}" if questions else "0"


def drawing(name: str, caption: str, figure: "Figure") -> Drawing:
    """Return a figure for the page; the name is unique in the page."""
    return Drawing(caption, figures.to_svg(figure, name=name))


def drawings_of(svgs: Mapping[str, str], **captions: str) -> list[Drawing]:
    """Return those of the figures that were drawn, as SVG by name, that have a caption here."""
    return [Drawing(caption, svgs[name]) for name, caption in captions.items() if name in svgs]


def all_numbers(metrics: figures.Metrics) -> Grid:
    """Return every metric of every suite, a column per iteration."""
    names = list(dict.fromkeys(name for i in sorted(metrics) for name in metrics[i]))
    rows = []
    for name in names:
        cells = []
        for i in sorted(metrics):
            cells.append(measured(metrics[i].get(name), signed=name == GAP))
        counts = {metrics[i][name]["n"] for i in metrics if name in metrics[i]}
        rows.append([words(name), " or ".join(map(str, sorted(counts))), *cells])
    header = ["metric", "n", *(figures.policy_label(i) for i in sorted(metrics))]
    return Grid("Every number, with its 95 % interval.", header, rows, folded=True)


def data_section(
    filtering: Mapping[int, Mapping[str, Any]], scoring: Mapping[int, Mapping[str, Any]], svgs: Mapping[str, str]
) -> Section:
    """Return what was sampled, what it earned, what was kept and why the rest was not."""
    if not filtering:
        return Section("What was kept")
    rows = [
        [
            str(i),
            f"{summary['n_samples']:,}",
            _part(summary["n_correct"], summary["n_samples"]),
            _part(summary["n_kept"], summary["n_samples"]),
            _part(summary["n_questions_kept"], summary["n_questions"]),
            *(f"{summary['dropped'][why]:,}" for why in DROPPED),
        ]
        for i, summary in sorted(filtering.items())
    ]
    dropped = [f"dropped: {label}" for label in DROPPED.values()]
    header = ["iteration", "samples", "correct", "kept", "questions with a kept one", *dropped]
    reasons = sorted({reason for summary in scoring.values() for reason in summary["by_reason"]})
    verdicts = [
        [str(i), *(_part(summary["by_reason"].get(reason, 0), summary["n"]) for reason in reasons)]
        for i, summary in sorted(scoring.items())
    ]
    settings = "filtering.max_per_question, filtering.distinct and filtering.min_reward"
    tables = [Grid(f"What the filter kept, and why it dropped the rest: see {settings}.", header, rows)]
    text = [f"Iteration {i}: {line}." for i, counts in sorted(scoring.items()) for line in counts.get("warnings", [])]
    if verdicts:
        tables.append(Grid("Verdicts on the samples.", ["iteration", *map(words, reasons)], verdicts))
    drawings = drawings_of(svgs, kept="What became of the samples, as shares of all that were drawn.")
    return Section("What was kept", text=text, tables=tables, drawings=drawings)


def training_section(
    logs: Mapping[int, Table], records: Mapping[int, Mapping[str, Any]], svgs: Mapping[str, str]
) -> Section:
    """Return the loss and the validation reward of every training, and what was checked before the last one."""
    if not logs:
        return Section("Training")
    drawings = drawings_of(svgs, training_loss="Training loss by iteration.")
    if figures.validated(logs):
        caption = "Greedy reward and loss on the validation questions; the large marker is the policy that was kept."
        drawings += drawings_of(svgs, validation=caption)
    gates = {i: record["training"]["gate"] for i, record in records.items() if record.get("training", {}).get("gate")}
    tables = []
    if gates:
        rows = [[line["check"], line["outcome"], line["found"]] for line in gates[max(gates)]]
        caption = f"What was found in the training set of iteration {max(gates)} before training."
        tables.append(Grid(caption, ["check", "outcome", "found"], rows, numbers=False, folded=True))
    return Section("Training", tables=tables, drawings=drawings)


def examples_section(examples: Sequence[Mapping[str, Any]]) -> Section:
    """Return completions to read, those that were kept first."""
    shown = [
        ShownSample(
            heading=f"{'Kept' if example['kept'] else 'Not kept'}: iteration {example['iteration']}, "
            f"question {example['question_id']}, {words(example['reason'])}{_answered(example)}",
            question=str(example["question"]),
            completion=str(example["completion"]),
            page=suggestions.page_of(str(example["question_id"])),
        )
        for example in sorted(examples, key=lambda example: (not example["kept"], example["iteration"]))
    ]
    return Section("Examples", text=[readable_at()] if shown else [], examples=shown)


def readable_at() -> str:
    """Return where the links behind examples lead."""
    command = suggestions.restem("view", on_page=True)
    return f'"All answers" opens a question where {command} runs, on the machine that has the experiment.'


def _answered(example: Mapping[str, Any]) -> str:
    """Return the answer that was found and how, on one line."""
    answer, found_by = example.get("answer"), example.get("found_by")
    shown = "" if answer is None else f", answer {' '.join(str(answer).split())[:_ANSWER_SHOWN]!r}"
    return f"{shown} ({found_by})" if found_by else shown


def configuration_section(records: Mapping[int, Mapping[str, Any]]) -> Section:
    """Return every parameter and version; a value that changed on the way names its iterations."""
    tables = []
    for key, caption in (("parameters", "Parameters."), ("versions", "Versions.")):
        by_iteration = {i: flat(record.get(key, {})) for i, record in sorted(records.items())}
        names = list(dict.fromkeys(name for values in by_iteration.values() for name in values))
        rows = [[name, _over_iterations({i: values.get(name) for i, values in by_iteration.items()})] for name in names]
        if rows:
            tables.append(Grid(caption, [key.removesuffix("s"), "value"], rows, numbers=False, folded=True))
    return Section("Configuration", tables=tables)


def lineage_section(records: Mapping[int, Mapping[str, Any]]) -> Section:
    """Return which policy came from which, from what code and questions."""
    if not records:
        return Section("Lineage")
    columns = {
        "policy": "policy",
        "sampled from": "parent",
        "trained from": "trained_from",
        "git commit": "git_commit",
        "questions": "questions_digest",
        "stale": "stale",
    }
    rows = [[str(i), *(_plain(record.get(key)) for key in columns.values())] for i, record in sorted(records.items())]
    return Section("Lineage", tables=[Grid("Fingerprints of content.", ["iteration", *columns], rows)])


def _over_iterations(values: Mapping[int, Any]) -> str:
    texts = {i: _plain(value) for i, value in values.items()}
    different = list(dict.fromkeys(texts.values()))
    if len(different) == 1:
        return different[0]
    return "; ".join(f"{text} (iteration {', '.join(str(i) for i in texts if texts[i] == text)})" for text in different)


def _plain(value: Any) -> str:
    if value is None:
        return ABSENT
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _part(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if total else "0"


def _inline(text: object) -> str:
    """Return text that Markdown shows as it is, in a paragraph or a table cell."""
    flat_text = " ".join(str(text).split())
    escaped = flat_text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|]|\](?=\())", r"\\\1", escaped)


def _fenced(text: str) -> str:
    """Return text as a code block, with a fence longer than any inside it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _slug(title: str) -> str:
    """Return a title as the name of a place in the page."""
    return "-".join(re.findall(r"\w+", title.lower()))


def _unbroken(cell: object) -> list[str]:
    """Return the parts of a cell of numbers between which a line may end: before an interval or a share."""
    return re.split(r" (?=[\[(])", str(cell))

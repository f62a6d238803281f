import io
import re

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from restem.errors import EvaluationError
from restem.reporting import figures
from restem.reporting.report import Report, ReportInputs, build_report
from restem.reporting.results import format_table, results_table
from tests.reporting.planted import EVALUATIONS, METRICS, N, Page, inputs, record


def example(completion: str, *, kept: bool = True) -> dict[str, object]:
    return {
        "iteration": 1,
        "question_id": "train-001",
        "question": "What is 1 + 1?",
        "completion": completion,
        "reason": "correct" if kept else "wrong",
        "answer": "2",
        "kept": kept,
    }


NAMES = ["greedy pass@1", "pass@8", "maj@8", "train pass@1", "train test gap"]


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(ReportInputs(**inputs()))


def test_conclusion_comes_first_and_says_how_sure_it_is(report: Report) -> None:
    for text in (Page(report.html).text, report.markdown):
        conclusion = text.index("Iteration 2 is better than the base policy on test.")
        assert conclusion < text.index("Results by iteration")
        assert f"over the same {N} questions" in text
        assert "exact McNemar p = " in text
        assert f"Against iteration 1: no difference shown (n = {N}, smallest detectable" in text


def test_report_holds_the_numbers_and_why_samples_were_dropped(report: Report) -> None:
    test = METRICS[2]["test/pass_at_1"]
    for text in (Page(report.html).text, report.markdown):
        assert f"{test['value']:.3f} [{test['low']:.3f}, {test['high']:.3f}]" in text
        assert "290 (29.0%)" in text
        assert "123 (12.3%)" in text
        for label, number in (("over the cap", 33), ("repeated", 77), ("reward too low", 600)):
            assert f"dropped: {label}" in text
            assert str(number) in text
        assert "16 (iteration 0, 1); 32 (iteration 2)" in text
        assert "0123abc" in text
        assert "2.13.0" in text


def test_what_is_looked_up_is_folded_and_contents_lead_to_every_section(report: Report) -> None:
    page = Page(report.html)
    titles = re.findall(r"<h2>(.*?)</h2>", report.html)

    links = re.findall(r'<li><a href="#([^"]+)">(.*?)</a></li>', report.html)
    assert [title for _, title in links] == titles
    assert {place for place, _ in links} <= set(page.ids)
    assert len({place for place, _ in links}) == len(titles)
    folded = re.findall(r"<details><summary[^>]*>(.*?) <span", report.html)
    assert folded == ["Every number, with its 95 % interval.", "Parameters.", "Versions."]


def test_html_is_one_file_with_its_figures_inside() -> None:
    logs = {1: pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})}

    drawn = {
        "pass_at_1": figures.pass_at_1_by_iteration(METRICS),
        "training_loss": figures.training_loss(logs),
        "validation": figures.validation_curves(logs),
    }

    svgs = {name: figures.to_svg(figure, name=name) for name, figure in drawn.items()}
    page = Page(build_report(ReportInputs(**inputs(training_logs=logs, svgs=svgs))).html)

    assert page.tags.count("svg") == 2  # there was no validation to draw
    assert [link for link in page.links if not link.startswith("#")] == []
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags


def test_completions_are_escaped() -> None:
    hostile = '<script>alert("x")</script>\n```\n</pre><img src=x onerror=alert(1)>'

    report = build_report(
        ReportInputs(**inputs(experiment="<b>demo</b>", examples=[example(hostile), example("3", kept=False)]))
    )

    page = Page(report.html)
    rendered = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(report.markdown))
    for shown in (page, rendered):
        assert "script" not in shown.tags
        assert "img" not in shown.tags
        assert "b" not in shown.tags
        assert hostile in shown.text
    assert page.text.index("Kept: iteration 1") < page.text.index("Not kept: iteration 1")


def test_markdown_tables_render_as_tables_with_all_their_rows(report: Report) -> None:
    rendered = MarkdownIt("commonmark").enable("table").render(report.markdown)

    for tag in ("table", "tr"):
        assert Page(rendered).tags.count(tag) == Page(report.html).tags.count(tag)


def test_base_policy_alone_is_reported_without_a_comparison() -> None:
    report = build_report(ReportInputs(**inputs(last=0)))

    assert "Only the base policy has been measured: test pass@1 0." in report.markdown
    assert "better" not in report.markdown


def test_a_regression_is_called_worse() -> None:
    swapped = {0: EVALUATIONS[1], 1: EVALUATIONS[0]}
    metrics = {0: METRICS[1], 1: METRICS[0]}

    report = build_report(ReportInputs(**inputs(last=1, evaluations=swapped, metrics=metrics)))

    assert "Iteration 1 is worse than the base policy on test." in report.markdown


def test_stale_iterations_and_changed_questions_are_said_at_the_top() -> None:
    records = {0: record(0), 1: record(1, stale=True), 2: record(2, questions_digest="other")}

    text = build_report(ReportInputs(**inputs(records=records))).markdown

    assert text.index("Stale: iteration 1 was made") < text.index("Results by iteration")
    assert "not made with the same questions" in text


def test_opinions_are_called_so_at_the_top() -> None:
    records = {i: record(i, opinions={"judge": "the opinion of the model m, the majority of 3"}) for i in range(3)}

    top = build_report(ReportInputs(**inputs(records=records))).markdown.partition("## ")[0]

    assert "No check but an opinion: the reward judge is the opinion of the model m, the majority of 3." in top


def test_the_audit_of_the_rewards_and_high_shares_of_reasons_are_reported() -> None:
    audit: dict[str, object] = {"n_checked": 40, "n_disagreed": 2, "n_unchecked": 3}
    audit |= {"false_positive_rate": 0.05, "low": 0.014, "high": 0.165}
    audit |= {"golden_cases": 14, "golden_failed": 1, "canaries": 50, "canaries_failed": 0}
    audit |= {"not_audited": {"format": "the form is all that it asks for"}}
    audit["accepted"] = [
        {"reward": "math", "form": "number", "found_by": "box", "n": 1390, "n_checked": 38, "n_disagreed": 0},
        {"reward": "math", "form": "time", "found_by": "last line", "n": 2, "n_checked": 2, "n_disagreed": 1},
    ]
    records = {i: record(i, audit=audit if i else {}) for i in range(3)}
    warned = {i: one | {"warnings": ["9.0% of the verdicts are timeout"]} for i, one in inputs()["scoring"].items()}

    text = build_report(ReportInputs(**inputs(records=records, scoring=warned))).markdown

    assert "| 1 | 40 | 2 | 0.050 [0.014, 0.165] | 3 | 1 of 14 | 0 of 50 |" in text
    assert "The reward format has no second verifier: the form is all that it asks for." in text
    assert (
        "| 1 | math | number | box | 1,390 | 38 | 0 |" in text and "| 2 | math | time | last line | 2 | 2 | 1 |" in text
    )
    assert "Iteration 1: 9.0% of the verdicts are timeout." in text


def test_report_without_a_base_policy_or_with_an_iteration_missing_is_refused() -> None:
    with pytest.raises(EvaluationError, match="base policy has no evaluation"):
        build_report(ReportInputs(**inputs(evaluations={1: EVALUATIONS[1]})))
    with pytest.raises(EvaluationError, match=r"iterations \[2\] lack"):
        build_report(ReportInputs(**inputs(evaluations={0: EVALUATIONS[0], 1: EVALUATIONS[1]})))


def test_results_table_has_a_row_per_iteration_with_intervals() -> None:
    table = results_table(METRICS)

    assert table["iteration"].tolist() == [0, 1, 2]
    assert table["n"].tolist() == [N] * 3
    names = [name for name in table.columns if f"{name}_low" in table.columns]
    expected = ["pass_at_1", "greedy_pass_at_1", "pass_at_8", "maj_at_8", "train_pass_at_1", "train_test_gap"]
    assert names == expected
    assert table.loc[2, "pass_at_1"] == METRICS[2]["test/pass_at_1"]["value"]
    assert table.loc[2, "train_test_gap_high"] == METRICS[2]["train_test_gap"]["high"]


def test_terminal_table_is_the_same_after_the_table_was_saved_and_read() -> None:
    table = results_table(METRICS)
    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))

    lines = format_table(table).splitlines()

    assert format_table(read).splitlines() == lines
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[0].split()[:2] == ["iteration", "n"]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(80, ["maj@8", "train pass@1", "train test gap"]), (130, ["train test gap"]), (200, []), (10, None)],
)
def test_terminal_table_leaves_out_and_names_what_would_not_fit(width: int, left_out: list[str] | None) -> None:
    *lines, note = format_table(results_table(METRICS), width=width).splitlines()

    if left_out is None:  # there is always one number
        assert lines[0].split() == ["iteration", "n", "pass@1"]
        return
    assert max(map(len, lines)) <= width
    assert [name for name in NAMES if name in note] == left_out
    assert all((name in lines[0]) != (name in left_out) for name in NAMES)


def test_what_was_not_measured_is_a_dash() -> None:
    without_train = {name: value for name, value in METRICS[1].items() if not name.startswith("train")}

    table = results_table({0: METRICS[0], 1: without_train})

    assert format_table(table).splitlines()[3].split()[-2:] == ["-", "-"]


def test_readers_marks_stand_beside_the_audit_and_examples_lead_to_all_answers() -> None:
    share = {"value": 0.25, "low": 0.1, "high": 0.5}
    said = {"n_readers": 2, "n_samples": 6, "accepted_right": 3, "accepted_wrong": 1, "rejected_right": 0}
    said |= {"rejected_wrong": 0, "n_doubtful": 2, "wrong_among_accepted": share, "right_among_rejected": None}

    made = build_report(ReportInputs(**inputs(marks={1: said}, examples=[example("3", kept=True)])))

    assert "| 1 | 2 | 6 | 1 of 4 | 0.250 [0.100, 0.500] | 0 of 0 | - | 2 |" in made.markdown
    assert "restem view" in made.markdown
    name = example("3", kept=True)["question_id"]
    assert f'<a href="http://127.0.0.1:8631/#q={name}">All answers</a>' in made.html

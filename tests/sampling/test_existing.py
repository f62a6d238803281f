"""Completions that exist already enter as the E-step of an iteration."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.configuration.consistency import deciding_here
from restem.engines import check_engine, deciding_engine_options
from restem.errors import EngineError, ParameterError
from restem.filtering.selection import best_distinct
from restem.parameters import FilteringParameters
from restem.planning.planner import plan_rows, workload
from restem.sampling.draws import engine_choice, training_draw
from restem.sampling.existing import existing_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable
from tests.builders import checked, questions
from tests.conftest import Project

QUESTIONS = questions("train", "train", "train", "test").assign(reward="exact", level="", licence="")
PROMPTS = pd.DataFrame(
    {
        "question_id": QUESTIONS["question_id"],
        "prompt_id": ["a", "b", "c", "d"],
        "prompt": QUESTIONS["text"],
    }
)


def write(file: Path, *rows: dict[str, Any]) -> Path:
    if file.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def read(tmp_path: Path, paths: Any, *, prompts: pd.DataFrame = PROMPTS, **options: Any) -> ShardedTable:
    asked = {"paths": paths if isinstance(paths, list) else str(paths), **options}
    sampling = checked(em={"iterations": 1}, sampling={"engine": "file", "engine_options": asked}).sampling
    draw = training_draw(QUESTIONS, prompts, sampling, iteration=1)
    return existing_samples(draw, QUESTIONS, asked, per_shard=2, journal=Journal(tmp_path / "journal"))


def left_out(tmp_path: Path) -> list[tuple[str, str]]:
    (file,) = (tmp_path / "journal").glob("samples-file-*/left_out.jsonl")
    return [(row["place"], row["why"]) for row in map(json.loads, file.read_text().splitlines())]


def test_completions_are_found_by_id_and_by_text(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"question_id": "q1", "completion": "2"},
        {"text": " 0 +\u00a00 =", "completion": "0"},
        {"question_id": "another's 7", "text": "1 + 1 =", "completion": "3"},
    )

    samples = read(tmp_path, file)

    rows = samples.to_pandas().sort_values(["question_id", "sample_index"])
    assert rows[["question_id", "sample_index", "completion", "origin"]].to_numpy().tolist() == [
        ["q0", 0, " 0", "a.jsonl, line 2"],
        ["q1", 0, " 2", "a.jsonl, line 1"],
        ["q1", 1, " 3", "a.jsonl, line 3"],
    ]
    assert set(rows["policy_id"]) == {"file:a.jsonl"}
    assert set(rows["decoding"]) == {"file"}


def test_what_a_file_does_not_say_is_not_made_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"question_id": "q0", "completion": "0"},
        {"question_id": "q0", "completion": "00", "finish_reason": "max_tokens", "n_tokens": 2, "prompt": "0 + 0 ="},
    )

    with caplog.at_level(logging.WARNING, "restem"):
        (unsaid, said) = read(tmp_path, file).to_pandas().sort_values("sample_index").to_dict("records")

    unknown = [unsaid[name] for name in ("n_tokens", "finish_reason", "seed", "prompt_id")]
    assert all(map(pd.isna, unknown))
    assert (said["n_tokens"], said["finish_reason"]) == (2, "length")
    assert said["prompt_id"] and pd.isna(said["seed"])
    assert "1 of 2 samples come without finish_reason" in caplog.text
    assert "filtering.keep_truncated finds none of them" in caplog.text
    assert "1 of 2 samples come without n_tokens" in caplog.text


def test_what_is_known_to_be_cut_off_is_not_kept_and_what_is_unknown_is(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        *({"question_id": "q0", "completion": end or "0", "finish_reason": end} for end in (None, "eos", "length")),
    )
    scored = read(tmp_path, file).to_pandas().assign(reward=1.0)

    kept = best_distinct(scored, parameters=FilteringParameters(choose="first"), seed=0)

    assert kept["completion"].tolist() == [" 0", " eos"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_row_may_hold_all_completions_of_its_question(tmp_path: Path, suffix: str) -> None:
    file = write(
        tmp_path / f"a{suffix}",
        {"question_id": "q0", "completion": ["0", " zero"], "finish_reason": ["stop", "length"], "n_tokens": [1, 2]},
    )

    rows = read(tmp_path, file).to_pandas()

    assert rows[["completion", "finish_reason", "n_tokens"]].to_numpy().tolist() == [
        [" 0", "stop", 1],
        [" zero", "length", 2],
    ]


def test_several_files_of_several_models_are_pooled(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    write(tmp_path / "llama" / "b.jsonl", {"question_id": "q0", "completion": "0"})
    write(tmp_path / "a.jsonl", {"question_id": "q0", "completion": "1", "policy": "qwen"})
    write(tmp_path / "b.jsonl", {"question_id": "q0", "completion": "2"}, {"question_id": "q1", "completion": "2"})

    samples = read(tmp_path, [str(tmp_path / "*.jsonl"), str(tmp_path / "llama")])

    rows = samples.to_pandas()
    of_first = rows[rows["question_id"] == "q0"]
    assert of_first["sample_index"].tolist() == [0, 1, 2]
    assert of_first["policy_id"].tolist() == ["file:qwen", f"file:{tmp_path.name}/b.jsonl", "file:llama/b.jsonl"]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"problem": "0 + 0 =", "response": "0", "model": "m"})

    columns = {"text": "problem", "completion": "response", "policy": "model"}
    (row,) = read(tmp_path, file, columns=columns).to_pandas().to_dict("records")

    assert (row["question_id"], row["completion"], row["policy_id"]) == ("q0", " 0", "file:m")


def test_rows_that_cannot_be_used_are_listed_each_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"question_id": "q0", "completion": "0"},
        {"question_id": "unheard", "completion": "1"},
        {"text": "9 + 9 =", "completion": "1"},
        {"completion": "1"},
        {"question_id": "q0"},
        {"question_id": "q0", "completion": 7},
        {"question_id": "q3", "completion": "6"},
        {"question_id": "q0", "completion": "0", "finish_reason": "tired"},
        {"question_id": "q0", "completion": "0", "n_tokens": "many"},
        {"question_id": "q0", "completion": ["0", "1"], "n_tokens": 3},
        {"question_id": "q0", "completion": []},
        {"question_id": "q0", "completion": "0", "finish_reason": {"why": "stop"}},
    )

    with caplog.at_level(logging.WARNING, "restem"):
        samples = read(tmp_path, file)

    assert len(samples) == 1
    reasons = left_out(tmp_path)
    assert [place for place, _ in reasons] == [f"line {number}" for number in range(2, 13)]
    assert [why.partition(" is none of")[0] for _, why in reasons] == [
        "its question is not known",
        "its question is not known",
        "it names no question, by question_id or text",
        "it has no completion",
        "its completion is no text",
        "its question is not asked in this iteration (split test)",
        "its finish_reason 'tired'",
        "its n_tokens 'many' is no number of tokens",
        "it has 2 completions, and its n_tokens says something of 1",
        "it has no completion",
        'its finish_reason \'{"why": "stop"}\'',
    ]
    assert "not used, because its question is not known: 2 rows, a.jsonl, line 2; a.jsonl, line 3" in caplog.text
    assert "2 of the 3 questions that are asked have no completion in the files" in caplog.text


def test_a_text_that_two_questions_have_names_none(tmp_path: Path) -> None:
    twins = QUESTIONS.assign(text="0 + 0 =")
    file = write(tmp_path / "a.jsonl", {"text": "0 + 0 =", "completion": "0"}, {"question_id": "q1", "completion": "0"})
    sampling = checked(em={"iterations": 1}, sampling={"engine": "file", "engine_options": {"paths": "a"}}).sampling
    draw = training_draw(twins, PROMPTS, sampling, iteration=1)

    existing_samples(draw, twins, {"paths": str(file)}, per_shard=2, journal=Journal(tmp_path / "journal"))

    assert left_out(tmp_path) == [("line 1", "3 questions have this text: name one by its question_id")]


def test_the_content_of_the_files_and_not_their_age_decides(tmp_path: Path) -> None:
    row = {"question_id": "q0", "completion": "0"}
    first = read(tmp_path, write(tmp_path / "a.jsonl", row)).files
    again = read(tmp_path, write(tmp_path / "a.jsonl", row)).files
    other = read(tmp_path, write(tmp_path / "a.jsonl", row, row)).files

    assert first == again
    assert first != other
    options = {"paths": str(tmp_path / "a.jsonl"), "dtype": "float32"}
    before = deciding_engine_options("file", options)
    write(tmp_path / "a.jsonl", row)
    assert deciding_engine_options("file", options) != before


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {}, "sampling.engine_options.paths: there is no file"),
        ("", {}, "holds no completions"),
        ("no json", {}, "cannot be read as .jsonl: line 1"),
        ('{"question_id": "unheard", "completion": "1"}', {}, "nothing in the files can be used: its question is not"),
        (
            '{"question_id": "q0", "response": "1"}',
            {},
            r"it has no completion \(1 rows\); the first is a.jsonl, line 1",
        ),
        ("{}", {"columns": {"answer": "a"}}, "columns.answer is nothing that is read of a completion"),
        ("{}", {"evaluate_with": "file"}, "evaluate_with must be an engine that draws"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    tmp_path: Path, content: str | None, options: dict[str, Any], message: str
) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_text(content)

    with pytest.raises(EngineError, match=message):
        read(tmp_path, tmp_path / "a.jsonl", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "sampling.engine=file needs sampling.engine_options.paths"),
        ({"paths": []}, "sampling.engine=file needs sampling.engine_options.paths"),
        ({"paths": 7}, "sampling.engine_options.paths"),
        ({"paths": "/no/where/*.jsonl"}, "there is no file /no/where/"),
        ({"paths": "src", "columns": {"text": 7}}, "sampling.engine_options.columns"),
        ({"paths": "{iteration}.jsonl", "evaluate_with": "none"}, "there is no engine 'none'"),
        ({"paths": "{iteration}.jsonl", "patience": 3}, "patience is not an option of the engine 'transformers'"),
    ],
)
def test_options_are_looked_at_before_a_run(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=re.escape(message)):
        check_engine("file", options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"em": {"iterations": 2}}, "set em.iterations=1, or write {iteration} into"),
        ({"sampling": {"follow_up": {"rounds": 1}}}, "sampling.follow_up.rounds must be 0"),
        ({"policy": {"teacher": "a"}}, "policy.teacher samples in place of the current policy"),
    ],
)
def test_what_files_cannot_do_is_refused(changes: dict[str, Any], message: str) -> None:
    sampling = {"engine": "file", "engine_options": {"paths": "a.jsonl"}, **changes.pop("sampling", {})}

    with pytest.raises(ParameterError, match=re.escape(message)):
        checked(**{"em": {"iterations": 1}, **changes, "sampling": sampling})


def test_files_of_every_iteration_have_its_number(tmp_path: Path) -> None:
    pattern = str(tmp_path / "{iteration}.jsonl")
    write(tmp_path / "1.jsonl", {"question_id": "q0", "completion": "first"})
    write(tmp_path / "2.jsonl", {"question_id": "q0", "completion": "second"})
    parameters = checked(em={"iterations": 2}, sampling={"engine": "file", "engine_options": {"paths": pattern}})

    def completions(iteration: int) -> list[str]:
        draw = training_draw(QUESTIONS, PROMPTS, parameters.sampling, iteration=iteration)
        journal = Journal(tmp_path / "journal")
        samples = existing_samples(draw, QUESTIONS, {"paths": pattern}, per_shard=2, journal=journal)
        return samples.to_pandas()["completion"].tolist()

    assert [completions(1), completions(2)] == [[" first"], [" second"]]


def test_policies_are_evaluated_with_an_engine_that_draws() -> None:
    options = {"paths": "a.jsonl", "evaluate_with": "scripted", "default": ["1"]}
    parameters = checked(em={"iterations": 1}, sampling={"engine": "file", "engine_options": options})

    choice = engine_choice(parameters.sampling, parameters.prompt)

    assert (choice.name, choice.options) == ("scripted", {"default": ["1"]})


def test_other_files_change_what_is_sampled_and_not_how_policies_are_measured(tmp_path: Path) -> None:
    def decided(engine: str, **options: Any) -> dict[str, Any]:
        sampling = {"engine": engine, "engine_options": {"dtype": "float32", **options}}
        return deciding_here(checked(em={"iterations": 1}, sampling=sampling))

    files = [write(tmp_path / name, {"completion": name}) for name in ("a.jsonl", "b.jsonl")]
    drawn, one, other = decided("transformers"), *(decided("file", paths=str(file)) for file in files)

    assert drawn["evaluation"] == one["evaluation"] == other["evaluation"]
    assert drawn["policy"] == one["policy"] == other["policy"]
    assert one["samples"]["sampling.engine_options.paths"] != other["samples"]["sampling.engine_options.paths"]
    assert (drawn["samples"]["sampling.engine"], one["samples"]["sampling.engine"]) == ("transformers", "file")


def test_a_plan_draws_nothing_that_is_in_files(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"completion": ["0", "1"]}, {"completion": "0"})
    options = {"paths": str(file)}
    parameters = checked(em={"iterations": 1}, sampling={"engine": "file", "engine_options": options})

    work = workload(QUESTIONS, PROMPTS, parameters)

    assert (work.n_drawn, work.n_samples, work.n_rows) == (0, 3, 3)
    assert plan_rows(work, None)[0][:3] == ["sampling", "0", "0"]


@pytest.fixture
def imported(finished: Project, project: Project) -> Project:
    """A whole iteration of the samples that another experiment drew, given as two files of two writers."""
    drawn = finished.catalog().load("iteration_1.scored_samples").to_pandas()
    rows = drawn[["question_id", "completion"]].to_dict("records")
    write(project.folder / "qwen.jsonl", *rows[::2], {"question_id": "unheard", "completion": "1"})
    write(project.folder / "llama.parquet", *({**row, "policy": "llama"} for row in rows[1::2]))
    project.run(
        em__iterations=1,
        method="rft_pool",
        sampling__engine_options__paths=["qwen.jsonl", "llama.parquet"],
        training__epochs=1,
        training__eval_every=None,
        track=True,
    )
    return project


def test_an_iteration_learns_from_files_and_says_where_each_row_came_from(finished: Project, imported: Project) -> None:
    catalog = imported.catalog()
    drawn = finished.catalog().load("iteration_1.scored_samples").to_pandas()
    scored, learned = (catalog.load(f"iteration_1.{name}").to_pandas() for name in ("scored_samples", "training_set"))

    def verdicts(table: pd.DataFrame) -> list[tuple[str, str, float]]:
        completions = table["completion"].str.strip()  # a space parts those of files from their prompts
        return sorted(zip(table["question_id"], completions, table["reward"], strict=True))

    assert verdicts(scored) == verdicts(drawn)
    assert "truncated" not in set(scored["reason"])  # which files did not say
    assert set(learned["policy_id"]) == {"file:qwen.jsonl", "file:llama"}
    record = catalog.load("record_1")
    assert record["scoring"]["n_tokens"] is None
    assert record["cost"]["tokens_sampled"] == 0
    assert (
        record["metrics"]["test/pass_at_1"]["n"]
        == finished.catalog().load("record_1")["metrics"]["test/pass_at_1"]["n"]
    )
    row = learned.iloc[0]
    arguments = ["trace", f"{row['question_id']}:{row['sample_index']}@{row['policy_id']}", "--env", "tiny"]
    traced = CliRunner().invoke(
        restem, [*arguments, "--params", "method=rft_pool,sampling.engine_options.paths=qwen.jsonl"]
    )
    assert traced.exit_code == 0, traced.output
    assert f"read from files, written by {row['policy_id']}" in traced.output
    assert re.search(r"train file \((qwen.jsonl, line|llama.parquet, row) \d+\): correct", traced.output)
    exported = CliRunner().invoke(
        restem,
        [
            "export",
            "samples",
            "1",
            "out",
            "--env",
            "tiny",
            "--params",
            "sampling.engine_options.paths=qwen.jsonl,em.iterations=1,method=rft_pool",
        ],
    )
    assert exported.exit_code == 0, exported.output
    assert "| written by `file:llama` | whoever wrote the completions in files |" in Path("out/README.md").read_text()


def test_a_shard_that_is_gone_or_damaged_is_made_again(tmp_path: Path) -> None:
    rows = [{"question_id": name, "completion": "0"} for name in ("q0", "q1", "q2")]
    file = write(tmp_path / "a.jsonl", *rows)
    whole = read(tmp_path, file).files
    content = [shard.read_bytes() for shard in whole]
    whole[0].unlink()
    whole[1].write_bytes(b"damaged")

    assert [shard.read_bytes() for shard in read(tmp_path, file).files] == content

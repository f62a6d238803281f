"""What `restem export samples` writes is loaded by `datasets` and trained on by TRL."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from datasets import Dataset, load_dataset

from restem.__main__ import restem
from restem.schemas import CORRECT
from tests.conftest import Project
from tests.hub_server import serving

CHAT = (
    "{% for m in messages %}{{ m.role[0] }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a: {% endif %}"
)


def exported(project: Project, *arguments: str) -> Result:
    before = Path.cwd()
    os.chdir(project.folder)
    try:
        return CliRunner().invoke(restem, ["export", "samples", *arguments, "--env", "tiny"])
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def folder(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples of iteration 1, as texts."""
    output = tmp_path_factory.mktemp("exported") / "texts"
    result = exported(finished, "1", str(output))
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="module")
def talks(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as messages."""
    output = tmp_path_factory.mktemp("exported") / "talks"
    result = exported(finished, "1", str(output), "--format", "messages")
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return lambda folder, *name: load_dataset(str(folder), *name, split="train", cache_dir=cache)


def test_every_sample_that_was_learned_from_and_every_verdict_is_there(
    finished: Project, folder: Path, load: Callable[..., Dataset]
) -> None:
    learned = finished.catalog().load("iteration_1.training_set").to_pandas()
    scored = finished.catalog().load("iteration_1.scored_samples").to_pandas()
    questions = finished.catalog().load("questions").set_index("question_id")

    kept, judged = load(folder), load(folder, "scored_samples").to_pandas()
    assert kept.to_pandas()[["prompt", "completion", "question_id", "sample_index"]].equals(
        learned[["prompt", "completion", "question_id", "sample_index"]]
    )
    assert judged[["question_id", "sample_index", "completion", "reward", "reason"]].equals(
        scored[["question_id", "sample_index", "completion", "reward", "reason"]]
    )
    assert judged["gold"].tolist() == questions["gold"].loc[judged["question_id"]].tolist()
    assert judged["answer"].isna().equals(scored["answer"].isna())
    assert judged["prompt"].str.endswith("Answer:").all()


def test_pairs_are_of_one_question_and_differ_in_their_verdict(folder: Path, load: Callable[..., Dataset]) -> None:
    judged = load(folder, "scored_samples").to_pandas().set_index(["question_id", "sample_index"])
    pairs = load(folder, "pairs").to_pandas()

    assert 0 < pairs.groupby("question_id").size().max() <= 4
    for pair in pairs.itertuples():
        good = judged.loc[(pair.question_id, pair.chosen_sample_index)]
        bad = judged.loc[(pair.question_id, pair.rejected_sample_index)]
        assert good["reward"] >= CORRECT > bad["reward"]
        assert (good["prompt"], good["completion"], bad["completion"]) == (pair.prompt, pair.chosen, pair.rejected)
        assert pair.chosen != pair.rejected


def test_another_seed_pairs_other_samples_and_the_same_seed_the_same(finished: Project, tmp_path: Path) -> None:
    def pairs(name: str, *options: str) -> bytes:
        result = exported(finished, "1", str(tmp_path / name), "--only", "pairs", *options)
        assert result.exit_code == 0, result.output
        return b"".join(file.read_bytes() for file in sorted((tmp_path / name / "pairs").iterdir()))

    assert pairs("a", "--seed", "1") == pairs("b", "--seed", "1") != pairs("c", "--seed", "2")


def test_messages_are_what_was_asked_and_answered(
    finished: Project, folder: Path, talks: Path, load: Callable[..., Dataset]
) -> None:
    text_of = finished.catalog().load("questions").set_index("question_id")["text"]
    texts = load(folder)

    for row, plain in zip(load(talks), texts, strict=True):
        user, assistant = row["messages"]
        assert user == {"role": "user", "content": text_of[row["question_id"]]}
        assert assistant == {"role": "assistant", "content": plain["completion"].removeprefix(" ")}
    pair = load(talks, "pairs")[0]
    assert [turn["role"] for turn in (*pair["prompt"], *pair["chosen"], *pair["rejected"])] == [
        "user",
        "assistant",
        "assistant",
    ]


def test_card_says_how_it_was_made(finished: Project, folder: Path) -> None:
    record, audit = (finished.catalog().load(name) for name in ("record_1", "iteration_1.audit_summary"))
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])

    assert front["license"] == "apache-2.0"
    assert [config["config_name"] for config in front["configs"]] == ["training_set", "scored_samples", "pairs"]
    assert f"| written by `{record['parent']}` | builtin:tiny |" in card
    assert f"refuses {audit['n_disagreed']} of {audit['n_checked']} accepted samples" in card
    assert "- reward `reasoning_gym`, version `reasoning_gym-" in card
    assert "Licence of the questions: Apache-2.0." in card
    assert "kedro run --env tiny --params=em.iterations=1\n" in card
    assert "restem export samples 1 texts --format prompt_completion --pairs-per-question 4 --seed 0 --env tiny" in card
    manifest = json.loads((folder / "restem.json").read_text())
    assert manifest["parameters"]["sampling"] == record["parameters"]["sampling"]
    assert manifest["n_rows"]["training_set"] == record["training"]["n_examples"]


def test_the_command_on_the_card_names_what_is_configured_otherwise_now(finished: Project, tmp_path: Path) -> None:
    result = exported(finished, "1", str(tmp_path / "out"), "--params", "sampling.temperature=0.5,sampling.top_k=3")

    assert result.exit_code == 0, result.output
    assert (
        "--params=sampling.temperature=1.0,sampling.top_k=0,em.iterations=1\n"
        in (tmp_path / "out" / "README.md").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["7"], "has no scored samples of iteration 7"),
        (["0"], "iteration 0 is the base policy as it came"),
        (["worst"], "'worst' is neither an iteration nor best"),
        (["best", "--experiment", "unheard"], "has no best policy yet"),
        (["1", "--experiment", "unheard"], "has no scored samples of iteration 1"),
        (["1", "--only", "prompts"], "'prompts' is not one of"),
        (["1", "--pairs-per-question", "0"], "x>=1"),
        (["1", "--hub", "me/mine"], "HF_TOKEN"),
        (["1", "--hub", ""], "HF_TOKEN"),
    ],
)
def test_samples_that_cannot_be_exported_are_named(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    which, *rest = arguments

    result = exported(finished, which, str(tmp_path / "out"), *rest)

    assert result.exit_code != 0
    assert message in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_hub_takes_is_refused_before_anything_is_written(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")

    result = exported(finished, "1", str(tmp_path / "out"), "--hub", "me/mine/too")

    assert result.exit_code == 1
    assert "--hub 'me/mine/too' is no name of a repository" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "mine"])
def test_a_folder_that_exists_stays_as_it_is(finished: Project, tmp_path: Path, content: str | None) -> None:
    output = tmp_path / "out"
    if content is None:
        output.mkdir()
    else:
        output.write_text(content)

    result = exported(finished, "1", str(output))

    assert result.exit_code == 1
    assert f"{output} exists; name a folder that does not" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_made_is_said(finished: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = exported(finished, "1", str(tmp_path / "file" / "out"))

    assert result.exit_code == 1
    assert f"{tmp_path / 'file' / 'out'} cannot be written: {tmp_path / 'file'} is in the way" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_pairs_of_an_iteration_that_accepted_all_or_nothing(copied: Project, tmp_path: Path) -> None:
    catalog = copied.catalog()
    scored, (first, *_) = catalog.load("iteration_1.scored_samples"), catalog.load("iteration_1.scored_samples").files
    from restem.store.tables import ShardedTable, write_shard

    changed = tmp_path / first.name
    write_shard(scored.to_pandas().assign(reward=0.5, reason="wrong"), changed)
    catalog.save("iteration_1.scored_samples", ShardedTable([changed]))

    without = exported(copied, "1", str(tmp_path / "all"))
    asked = exported(copied, "1", str(tmp_path / "pairs"), "--only", "pairs")

    assert without.exit_code == 0, without.output
    assert "0 rows of pairs" in without.output
    assert "Empty, and so not here: pairs." in (tmp_path / "all" / "README.md").read_text()
    assert asked.exit_code == 1
    assert "nothing was exported: there are no pairs, because no question has both" in asked.output
    assert not (tmp_path / "pairs").exists()


def test_samples_are_exported_before_a_policy_learned_from_them(project: Project, tmp_path: Path) -> None:
    project.run(to="iteration_1.scored_samples")

    result = exported(project, "1", str(tmp_path / "out"))
    kept = exported(project, "1", str(tmp_path / "kept"), "--only", "training_set")

    assert result.exit_code == 0, result.output
    card = (tmp_path / "out" / "README.md").read_text()
    assert "no policy has learned from them yet" in card
    assert "were not audited" in card
    assert "0 rows of training_set" in result.output
    assert kept.exit_code == 1
    assert "training_set is empty" in kept.output


def arguments_of(kind: type, output: Path) -> Any:
    return kind(
        output_dir=str(output),
        max_steps=2,
        per_device_train_batch_size=2,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )


def model_and_tokenizer(project: Project, kind: str = "AutoModelForCausalLM", **options: Any) -> tuple[Any, Any]:
    import transformers

    path = project.catalog().load("policy_0").path
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    tokenizer.chat_template = tokenizer.chat_template or CHAT
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = getattr(transformers, kind).from_pretrained(path, **options)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "talks"])
@pytest.mark.parametrize("kind", ["SFT", "DPO", "Reward"])
def test_trl_trains_on_it(  # noqa: PLR0913 - fixtures
    finished: Project,
    tmp_path: Path,
    load: Callable[..., Dataset],
    request: pytest.FixtureRequest,
    form: str,
    kind: str,
) -> None:
    import trl

    rows = load(request.getfixturevalue(form), "training_set" if kind == "SFT" else "pairs")
    of_model = {"kind": "AutoModelForSequenceClassification", "num_labels": 1} if kind == "Reward" else {}
    model, tokenizer = model_and_tokenizer(finished, **of_model)
    arguments = arguments_of(getattr(trl, f"{kind}Config"), tmp_path)

    trainer = getattr(trl, f"{kind}Trainer")(
        model=model, args=arguments, train_dataset=rows, processing_class=tokenizer
    )

    assert len(trainer.train_dataset) == len(rows)
    assert all(0 < loss < 20 for loss in losses(trainer))
    assert trainer.state.global_step == 2


def test_sft_learns_the_completion_and_its_end_alone(
    finished: Project, folder: Path, tmp_path: Path, load: Callable[..., Dataset]
) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = load(folder)
    model, tokenizer = model_and_tokenizer(finished)
    arguments = arguments_of(SFTConfig, tmp_path)

    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)

    batch = next(iter(trainer.get_train_dataloader()))
    learned = [tokenizer.decode([token for token in labels.tolist() if token != -100]) for labels in batch["labels"]]
    assert set(learned) <= {row["completion"] + tokenizer.eos_token for row in rows}


def test_hub_gets_the_data_set(finished: Project, tmp_path: Path) -> None:
    with serving(token="secret") as hub:
        command = [sys.executable, "-m", "restem", "export", "samples", "1", str(tmp_path / "out"), "--env", "tiny"]
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "secret", "HF_HUB_DISABLE_XET": "1"}
        result = subprocess.run(
            [*command, "--hub", "me/mine"],
            cwd=finished.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert result.returncode == 0, result.stderr
    assert hub.created == [{"name": "mine", "organization": "me", "type": "dataset", "visibility": "private"}]
    written = {file.relative_to(tmp_path / "out").as_posix(): file for file in (tmp_path / "out").rglob("*")}
    assert hub.files == {name: file.read_bytes() for name, file in written.items() if file.is_file()}
    assert {"README.md", "restem.json", "pairs/00000.parquet"} <= set(hub.files)

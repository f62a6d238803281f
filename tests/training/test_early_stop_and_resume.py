"""Trainings that stop by reward, and trainings that are killed and go on."""

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from restem.errors import BudgetError, PolicyError, TrainingError
from restem.parameters import BudgetParameters, LimitsParameters, SamplingParameters, TrainingParameters
from restem.policies.folder import saving
from restem.policies.policy import Policy
from restem.spending import spending
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal, JournalEntry
from restem.store.ledger import Account, Ledger
from restem.store.tables import ShardedTable
from restem.training.m_step import MStep, train_policy
from restem.training.request import TrainingResult
from restem.training.run import train
from restem.training.validation import greedy_reward, make_validation
from restem.training.workplace import Workplace, validation_steps
from tests import declining_engine
from tests.builders import sums
from tests.training.trainings import validation

N_STEPS_PER_EPOCH = 3  # six rows in batches of two
PASSED = pd.DataFrame({"check": ["all"], "outcome": ["passed"], "found": [""]})

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(base: Policy, output: Path, n_right: list[int] | None, **changed: Any) -> TrainingResult:
    options = {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1e-3, "dtype": "float32", **changed}
    unfinished = options.pop("unfinished", None)
    return train(
        sums(),
        base,
        parameters=TrainingParameters(**options),
        output=output,
        validation=None if n_right is None else validation(n_right),
        unfinished=unfinished,
    )


def test_the_reward_is_measured_every_so_many_epochs_and_at_the_end() -> None:
    assert validation_steps(9, n_steps_per_epoch=3, every=1.0) == {3, 6, 9}
    assert validation_steps(9, n_steps_per_epoch=3, every=0.5) == {2, 3, 4, 6, 8, 9}
    assert validation_steps(10, n_steps_per_epoch=5, every=1.5) == {8, 10}
    assert validation_steps(2, n_steps_per_epoch=1, every=9.0) == {2}


@pytest.mark.slow
def test_training_stops_when_the_reward_does_and_the_best_weights_are_the_policy(
    base: Policy,
    tmp_path: Path,
) -> None:
    options = {"epochs": 6, "schedule": "constant", "warmup_share": 0.0}
    result = trained(base, tmp_path / "stopped", [1, 3, 2, 3, 4, 4], patience=2, **options)
    until_best = trained(base, tmp_path / "two", None, **options | {"epochs": 2})

    assert result.best_step == 6
    assert [step["step"] for step in result.log] == list(range(1, 13))  # four of six epochs
    measured = {step["step"]: step["validation_reward"] for step in result.log if "validation_reward" in step}
    assert measured == {3: 0.25, 6: 0.75, 9: 0.5, 12: 0.75}
    assert folder_fingerprint(result.folder) == folder_fingerprint(until_best.folder)


@pytest.mark.slow
def test_validation_loss_is_logged_and_decides_nothing(base: Policy, tmp_path: Path) -> None:
    result = trained(base, tmp_path / "policy", [2, 1, 1], epochs=3, patience=5, learning_rate=1e-2)

    losses = [step["validation_loss"] for step in result.log if "validation_loss" in step]
    assert losses[0] > losses[-1]
    assert result.best_step == 3


@pytest.mark.slow
def test_the_weights_that_are_measured_are_those_that_are_kept(base: Policy, tmp_path: Path) -> None:
    measured_on = validation([], engine="transformers")
    result = train(
        sums(),
        base,
        parameters=TrainingParameters(epochs=4, batch_size=2, micro_batch_size=2, dtype="float32", learning_rate=1e-2),
        output=tmp_path / "policy",
        validation=measured_on,
    )

    rewards = {step["step"]: step["validation_reward"] for step in result.log if "validation_reward" in step}
    assert len(rewards) > 1
    assert greedy_reward(result.folder, measured_on) == rewards[result.best_step] == max(rewards.values())
    assert {file.name for file in result.folder.iterdir()} == {file.name for file in base.folder.iterdir()}


@pytest.mark.slow
def test_measuring_changes_no_weight(base: Policy, tmp_path: Path) -> None:
    with_it = trained(base, tmp_path / "with", [1, 2, 3], epochs=3)
    without = trained(base, tmp_path / "without", None, epochs=3)

    assert folder_fingerprint(with_it.folder) == folder_fingerprint(without.folder)
    assert [step["loss"] for step in with_it.log] == [step["loss"] for step in without.log]


def test_a_loss_that_is_no_number_leaves_the_best_weights(base: Policy, tmp_path: Path) -> None:
    kept = "best weights so far, of step 1 with a validation reward of 0.250, are kept in "
    with pytest.raises(TrainingError, match=f"at optimizer step 2 of 3 .*{kept}") as error:
        trained(
            base,
            tmp_path / "policy",
            [1, 1, 1],
            epochs=3,
            batch_size=6,
            learning_rate=1e30,
            unfinished=tmp_path / "unfinished",
        )
    assert (Path(str(error.value).split(" are kept in ")[1]) / "model.safetensors").is_file()
    assert not (tmp_path / "policy").exists()


def killed(work: Callable[[], Any], when: Callable[[], bool]) -> bool:
    """Return whether the work was killed; run it in a process of its own and kill that with -9 when it is time."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if when():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return True
        time.sleep(0.001)
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [{"micro_batch_size": 1}, pytest.param({"lora": {"rank": 2}, "dtype": "bfloat16"}, marks=pytest.mark.long)],
)
def test_a_training_killed_again_and_again_gives_the_bytes_of_an_undisturbed_one(
    base: Policy,
    tmp_path: Path,
    changed: dict[str, Any],
) -> None:
    rewards = [1, 3, 2, 1]
    options = {"epochs": 4, "patience": 9, **changed}
    undisturbed = trained(base, tmp_path / "undisturbed", rewards, **options)
    unfinished = tmp_path / "unfinished"

    def go_on() -> TrainingResult:
        n_measured = len(Workplace(unfinished, checkpoint_every_s=0).course().log) // N_STEPS_PER_EPOCH
        return trained(
            base, tmp_path / "killed", rewards[n_measured:], unfinished=unfinished, checkpoint_every_s=0, **options
        )

    for step in range(1, 4 * N_STEPS_PER_EPOCH):
        # By turns while a checkpoint is being written, and between that and the next.
        place = unfinished / f".scratch/checkpoint-{step}" if step % 2 else unfinished / f"checkpoint-{step:08d}"
        assert killed(go_on, when=place.exists)
    assert not (tmp_path / "killed").exists()
    result = go_on()

    assert folder_fingerprint(result.folder) == folder_fingerprint(undisturbed.folder)
    assert (result.best_step, result.log) == (undisturbed.best_step, undisturbed.log)


@pytest.fixture
def spent(tmp_path: Path) -> Iterator[Ledger]:
    """The account of an open run whose experiment has no time left."""
    ledger = Ledger(tmp_path / "spending.json")
    ledger.write(Account(seconds=9.0))
    spending.open(ledger, LimitsParameters(budget=BudgetParameters(hours=0.001)), experiment="e")
    yield ledger
    spending.close()


@pytest.mark.slow
def test_a_training_whose_budget_is_spent_stops_at_a_checkpoint_and_goes_on_to_the_same_bytes(
    base: Policy, tmp_path: Path, spent: Ledger
) -> None:
    n_right, unfinished, options = [1, 3], tmp_path / "unfinished", {"epochs": 2, "micro_batch_size": 1}
    with pytest.raises(BudgetError, match=r"limits\.budget\.hours=0\.001.*training up to its last checkpoint"):
        trained(base, tmp_path / "policy", n_right, unfinished=unfinished, **options)
    assert [file.name for file in unfinished.glob("checkpoint-*")] == ["checkpoint-00000001"]
    assert not (tmp_path / "policy").exists()
    spending.close()

    result = trained(base, tmp_path / "policy", n_right, unfinished=unfinished, **options)
    undisturbed = trained(base, tmp_path / "undisturbed", n_right, **options)

    assert folder_fingerprint(result.folder) == folder_fingerprint(undisturbed.folder)
    assert result.log == undisturbed.log


def test_a_measurement_is_finished_although_the_budget_is_spent(base: Policy, spent: Ledger) -> None:
    reward = greedy_reward(base.folder, validation([3]))
    spending.close()

    account = spent.read()
    assert reward == 0.75
    assert account is not None and account.sampling.completion_tokens > 0


def test_no_training_begins_when_the_budget_is_spent(base: Policy, tmp_path: Path, spent: Ledger) -> None:
    file = tmp_path / "rows.parquet"
    sums().to_parquet(file)
    options = TrainingParameters(batch_size=2, micro_batch_size=2, dtype="float32")
    step = MStep(base_policy=base, parent=base, training=options, validation=None, add_special_tokens=True)

    with pytest.raises(BudgetError):
        train_policy(ShardedTable([file]), PASSED, step, journal=Journal(tmp_path / "journal"))

    (entry,) = (tmp_path / "journal").glob("policy-*")
    assert [each.name for each in entry.iterdir() if not each.name.startswith(".")] == ["decided_by.json"]


class Malice:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> object:
        return os.mkdir, (str(self._marker),)


@pytest.fixture(scope="module")
def left(base: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training that may be killed has on the disk behind its last step."""
    folder = tmp_path_factory.mktemp("left")
    trained(base, folder / "policy", None, epochs=1, unfinished=folder / "unfinished", checkpoint_every_s=0)
    return folder / "unfinished"


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_checkpoint_that_is_a_program_does_not_run(name: str, left: Path, base: Policy, tmp_path: Path) -> None:
    marker, unfinished = tmp_path / "ran", tmp_path / "unfinished"
    checkpoint = next(left.glob("checkpoint-*"))

    def tampered(folder: Path) -> None:  # and signed as if restem had written it
        shutil.copytree(checkpoint, folder)
        torch.save(Malice(marker), folder / name)

    JournalEntry(unfinished).write(checkpoint.name, tampered)
    is_read = name != "training_args.bin"
    refused = pytest.raises(TrainingError, match=rf"the checkpoint .* holds something else .* Remove {unfinished}, and")
    with refused if is_read else nullcontext():
        trained(base, tmp_path / "policy", None, epochs=1, unfinished=unfinished, checkpoint_every_s=0)

    assert not marker.exists()


def test_a_finished_training_leaves_nothing_but_the_policy_and_its_log(
    base: Policy,
    tmp_path: Path,
) -> None:
    policy, log = fine_tuned(base, tmp_path, checkpoint_every_s=0)

    left = {path.name for path in policy.folder.parent.iterdir() if not path.name.endswith(".digests")}
    assert left == {"decided_by.json", "log.json", "notes.json", "policy"}
    assert list(log["validation_reward"].dropna()) == [0.25, 0.5]
    assert log["validation_loss"].notna().sum() == 2


def fine_tuned(base: Policy, folder: Path, parent: Policy | None = None, **changed: Any) -> tuple[Policy, Any]:
    """Return what the M-step gives."""
    file = folder / "rows.parquet"
    sums().to_parquet(file)
    step = MStep(
        base_policy=base,
        parent=parent or base,
        training=TrainingParameters(**{"epochs": 2, "dtype": "float32", **changed}),
        validation=validation([1, 2]),
        add_special_tokens=True,
    )
    return train_policy(ShardedTable([file]), PASSED, step, journal=Journal(folder / "journal"))


@pytest.mark.slow
def test_how_often_checkpoints_are_written_decides_nothing(base: Policy, tmp_path: Path) -> None:
    often, _ = fine_tuned(base, tmp_path, checkpoint_every_s=0)

    seldom, _ = fine_tuned(base, tmp_path, checkpoint_every_s=999)

    assert (seldom.path, declining_engine.opened) == (often.path, [])


@pytest.mark.slow
def test_a_save_that_was_cut_short_is_not_taken_for_a_policy(base: Policy, tmp_path: Path) -> None:
    policy, _ = fine_tuned(base, tmp_path)
    policy.folder.rename(policy.folder.with_name(".policy.partial"))
    weights = policy.folder.with_name(".policy.partial") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])

    again, _ = fine_tuned(base, tmp_path)

    assert again.fingerprint == policy.fingerprint


@pytest.mark.slow
def test_training_from_the_previous_policy_is_recorded_as_such(base: Policy, tmp_path: Path) -> None:
    first, _ = fine_tuned(base, tmp_path)
    from_base, _ = fine_tuned(base, tmp_path, parent=first)
    from_first, _ = fine_tuned(base, tmp_path, parent=first, start_from="previous")

    assert (from_base.trained_from, from_first.trained_from) == (base.fingerprint, first.fingerprint)
    assert from_base.fingerprint == first.fingerprint  # the same rows from the same weights
    assert from_first.fingerprint != first.fingerprint
    assert (from_first.base, from_first.parent, from_first.iteration) == (base.fingerprint, first.fingerprint, 2)


def test_a_base_policy_that_changed_is_refused_wherever_training_starts(
    base: Policy,
    tmp_path: Path,
) -> None:
    first, _ = fine_tuned(base, tmp_path)
    changed = replace(base, fingerprint="0" * 16)

    for start_from in ("base", "previous"):
        with pytest.raises(PolicyError, match="has changed since the experiment began"):
            fine_tuned(changed, tmp_path, parent=first, start_from=start_from)


def test_a_training_set_that_failed_its_gate_is_not_trained_on(base: Policy, tmp_path: Path) -> None:
    gate = PASSED.assign(outcome="failed", found="not so for 1 of 6 rows")

    step = MStep(base_policy=base, parent=base, training=TrainingParameters(), validation=None, add_special_tokens=True)

    with pytest.raises(TrainingError, match=r"did not pass the gate.*all: not so for 1 of 6 rows"):
        train_policy(ShardedTable([]), gate, step, journal=Journal(tmp_path))


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_said_and_leaves_a_training_that_can_go_on(
    base: Policy,
    tmp_path: Path,
) -> None:
    options = {"epochs": 2, "unfinished": tmp_path / "unfinished", "checkpoint_every_s": 0}
    expected = trained(base, tmp_path / "expected", [1, 2], epochs=2)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))  # the weights are larger
    try:
        with pytest.raises(TrainingError, match=r"could not be written: .*run again"):
            trained(base, tmp_path / "policy", [1, 2], **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)

    result = trained(base, tmp_path / "policy", [1, 2], **options)

    assert folder_fingerprint(result.folder) == folder_fingerprint(expected.folder)


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    too_much = saving(tmp_path / "policy", n_bytes=10**18)
    with pytest.raises(TrainingError, match=r"takes about 1,000,000,000,000 MB, and the disk has"), too_much:
        (tmp_path / "policy").mkdir()
    assert not (tmp_path / "policy").exists()


def test_validation_without_questions_says_what_to_set() -> None:
    made = validation([])
    none = made.questions.assign(split="test")

    with pytest.raises(TrainingError, match=r"questions\.n_validation .* training\.eval_every=null"):
        make_validation(
            none,
            made.draw.prompts,
            made.solutions,
            every=1.0,
            choice=made.choice,
            sampling=SamplingParameters(),
            scoring=made.scoring,
        )

"""Trainings of several processes, started by accelerate."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem import suggestions
from restem.errors import BudgetError, ParameterError, TrainingError
from restem.parameters import BudgetParameters, LimitsParameters, TrainingParameters
from restem.policies.policy import Policy
from restem.screen import screen
from restem.spending import spending
from restem.store.fingerprints import folder_fingerprint
from restem.store.ledger import Account, Ledger
from restem.suggestions import Asked
from restem.training import launcher
from restem.training.launch import Launch, launch_of, outside_of_the_group
from restem.training.launcher import launch_command
from restem.training.request import TrainingRequest, TrainingResult, asked_in, read_request, write_request
from tests.builders import weights
from tests.conftest import ROOT, Logged
from tests.training.trainings import N_VALIDATION, PRESETS, REWARDS, TWO, rows, trained, validation, worker

pytestmark = pytest.mark.usefixtures("one_thread")


TAKEN: list[Account] = []  # what its measurements took
LIVE: list[tuple[str, str]] = []  # what the training of the fixture showed meanwhile


@pytest.fixture(scope="module")
def by_two(base: Policy, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    screen.relay(lambda title, state: LIVE.append((title, state)))
    spending.untold()
    try:
        result = trained(base, tmp_path_factory.mktemp("two"), REWARDS, **TWO)
        TAKEN.append(spending.untold())
        return result
    finally:
        screen.relay(None)


@pytest.mark.slow
def test_a_training_in_other_processes_shows_how_far_it_is(by_two: TrainingResult) -> None:
    steps = [state.partition(",")[0] for title, state in LIVE if title == "training"]

    assert steps == [f"optimizer step {step} of 6" for step in range(1, 7)]
    assert any("questions" in state for title, state in LIVE if title != "training")  # of the validation


@pytest.mark.slow
def test_what_measurements_in_other_processes_take_is_counted_here(by_two: TrainingResult) -> None:
    n_measured = sum("validation_reward" in step for step in by_two.log)

    assert TAKEN[0].sampling.completion_tokens == n_measured * N_VALIDATION == 3 * 4


@pytest.mark.long
def test_two_processes_stop_at_a_checkpoint_when_the_budget_is_spent(
    base: Policy, by_two: TrainingResult, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "spending.json")
    ledger.write(Account(seconds=9.0))
    spending.open(ledger, LimitsParameters(budget=BudgetParameters(hours=0.001)), experiment="e")
    with pytest.raises(BudgetError, match=r"limits\.budget\.hours=0\.001"):
        trained(base, tmp_path, REWARDS, **TWO)
    spending.close()
    assert (tmp_path / "unfinished" / "checkpoint-00000001").is_dir()

    assert folder_fingerprint(trained(base, tmp_path, REWARDS, **TWO).folder) == folder_fingerprint(by_two.folder)


@pytest.mark.slow
def test_two_processes_train_as_one_does(base: Policy, by_two: TrainingResult, tmp_path: Path) -> None:
    by_one = trained(base, tmp_path, REWARDS)

    assert len(by_two.log) == len(by_one.log) == 6
    for two, one in zip(by_two.log, by_one.log, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
        exact = ("step", "learning_rate", "n_tokens_trained", "n_tokens_total", "validation_reward")
        assert {name: two.get(name) for name in exact} == {name: one.get(name) for name in exact}
        assert two.get("validation_loss") == pytest.approx(one.get("validation_loss"), abs=1e-5)
    assert by_two.best_step == by_one.best_step == 4
    theirs = weights(by_one.folder)
    for name, tensor in weights(by_two.folder).items():
        assert (tensor - theirs[name]).abs().max() < 1e-4


@pytest.mark.slow
def test_what_a_process_refuses_is_raised_here_with_the_rows_of_all(base: Policy, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at optimizer step 2 of 6 the loss was nan") as error:
        trained(base, tmp_path, [1] * 6, **TWO, learning_rate=1e30, batch_size=6, micro_batch_size=3, epochs=6)

    assert all(f"{name} sample 0" in str(error.value) for name in rows()["question_id"])


@pytest.mark.long
def test_divided_weights_train_as_whole_ones(
    base: Policy, by_two: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command_on_cpus(launch: Launch, folder: Path, **options: Any) -> list[str]:
        command = launch_command(launch, folder, **options)
        return ["tests.sharded_on_cpus" if part == "restem.training.worker" else part for part in command]

    monkeypatch.setattr(launcher, "_check_hardware", lambda *_: None)
    monkeypatch.setattr(launcher, "launch_command", command_on_cpus)
    sharded = trained(base, tmp_path, REWARDS, **TWO | {"launcher_config": str(PRESETS / "fsdp.yaml")})

    assert any((tmp_path / "unfinished").glob("checkpoint-*/pytorch_model_fsdp_0/__1_0.distcp"))  # the second one's
    assert [step["loss"] for step in sharded.log] == pytest.approx([step["loss"] for step in by_two.log], abs=1e-5)
    assert sharded.best_step == by_two.best_step
    whole = weights(by_two.folder)
    for name, tensor in weights(sharded.folder).items():
        assert (tensor - whole[name]).abs().max() < 1e-4


def ended_by(work: Callable[[], Any], when: Callable[[], bool], find: Callable[[], int]) -> BaseException:
    """Return what the work raises when the process that `find` finds is killed with -9 once it is time."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive() and not when():
        time.sleep(0.001)
    os.kill(find(), signal.SIGKILL)
    thread.join()
    return raised[0]


@pytest.mark.long
def test_a_killed_process_is_named_and_training_goes_on_with_the_same_bytes(
    base: Policy, by_two: TrainingResult, tmp_path: Path, logged: Logged
) -> None:
    unfinished = tmp_path / "unfinished"

    error = ended_by(
        lambda: trained(base, tmp_path, REWARDS, **TWO),
        # in the middle of an epoch
        when=lambda: any(unfinished.glob("checkpoint-*3")),
        find=lambda: worker(unfinished, rank=1),
    )

    assert isinstance(error, TrainingError)
    assert "process 1 of 2 (rank 1) was ended by signal 9 (SIGKILL)" in str(error)
    with pytest.raises(LookupError):
        worker(unfinished, rank=0)
    n_measured = sum("validation_reward" in step for step in last_checkpoint(unfinished))
    logged.clear()
    result = trained(base, tmp_path, REWARDS[n_measured:], **TWO)
    assert (result.log, result.best_step) == (by_two.log, by_two.best_step)
    assert folder_fingerprint(result.folder) == folder_fingerprint(by_two.folder)
    assert any(record.getMessage().startswith("optimizer step 6 of 6: loss") for record in logged)


def last_checkpoint(unfinished: Path) -> list[dict[str, float]]:
    from restem.training.workplace import Workplace

    return Workplace(unfinished, checkpoint_every_s=0).course().log


def test_a_request_is_read_as_it_was_written(base: Policy, tmp_path: Path) -> None:
    written = TrainingRequest(
        rows=rows(),
        base_policy=base,
        parameters=TrainingParameters(lora={"rank": 2}),
        output=tmp_path / "policy",
        add_special_tokens=False,
        validation=validation([1]),
        unfinished=None,
    )

    suggestions.use(Asked(env="tiny", params={"em": {"seed": 3}}))
    write_request(written, tmp_path)
    suggestions.use(Asked())
    read = read_request(tmp_path)

    pd.testing.assert_frame_equal(read.rows, written.rows)
    assert asked_in(tmp_path) == Asked(env="tiny", params={"em": {"seed": 3}})
    for name in ("base_policy", "parameters", "output", "add_special_tokens"):
        assert getattr(read, name) == getattr(written, name)
    assert read.unfinished is None
    assert read.validation is not None and written.validation is not None
    for name in ("questions", "solutions"):
        pd.testing.assert_frame_equal(getattr(read.validation, name), getattr(written.validation, name))
    pd.testing.assert_frame_equal(read.validation.draw.prompts, written.validation.draw.prompts)
    assert read.validation.draw[1:] == written.validation.draw[1:]
    assert (read.validation.choice, read.validation.scoring) == (written.validation.choice, written.validation.scoring)


def test_the_number_of_processes_decides_the_weights_and_the_launcher_does_not() -> None:
    def deciding(**changed: Any) -> dict[str, Any]:
        return launch_of(TrainingParameters(**changed)).deciding()

    ddp = {"launcher": "accelerate", "launcher_config": str(PRESETS / "ddp.yaml")}
    assert deciding() == deciding(**ddp)
    assert deciding(**ddp, processes=2) == deciding() | {"processes": 2}
    sharded = deciding(**ddp | {"launcher_config": str(PRESETS / "fsdp.yaml")}, processes=2)
    assert (sharded["sharding"], sharded["launcher_config"]["fsdp_config"]["fsdp_version"]) == ("FSDP", 2)


def test_an_engine_is_not_told_that_training_has_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "1", "TORCHELASTIC_RESTART_COUNT": "0"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    with outside_of_the_group():
        inside = {name: os.environ.get(name) for name in told}

    assert set(inside.values()) == {None}
    assert {name: os.environ[name] for name in told} == told


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda file: file.stem)
def test_accelerate_reads_every_preset(preset: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    kind = load_config_from_file(str(preset)).distributed_type.value
    asked = launch_command_parser().parse_args(["--config_file", str(preset), "--num_processes", "2", "train.py"])
    launched = _validate_launch_command(asked)[0]

    assert {"MULTI_GPU": launched.multi_gpu, "FSDP": launched.use_fsdp, "DEEPSPEED": launched.use_deepspeed}[kind]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"processes": 2}, r"training\.processes = 2 needs training\.launcher=accelerate or ray"),
        (
            {**TWO, "launcher_config": "no/such.yaml"},
            r"training\.launcher_config must name .* no .*such\.yaml",
        ),
        ({**TWO, "launcher_config": str(ROOT / "conf/base/globals.yml")}, "it has no distributed_type"),
        (
            {**TWO, "batch_size": 9},
            r"training\.batch_size .* = 4 times 2 training\.processes, got 9",
        ),
        ({**TWO, "machines": 2}, "name this machine as main_process_ip and main_process_port"),
        ({**TWO, "processes": 3, "machines": 2}, r"training\.processes must be a multiple of training\.machines = 2"),
    ],
)
def test_processes_that_cannot_be_started_so_are_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        launch_of(TrainingParameters(**changed))


@pytest.mark.parametrize(
    ("preset", "message"), [("fsdp", "divides the weights among GPUs"), ("deepspeed_zero3", "pip install deepspeed")]
)
def test_weights_are_not_divided_where_that_cannot_be(base: Policy, tmp_path: Path, preset: str, message: str) -> None:
    import torch

    if torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match=message):
        trained(base, tmp_path, [], **{**TWO, "launcher_config": str(PRESETS / f"{preset}.yaml")})

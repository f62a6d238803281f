"""The reward is measured by an engine that may need the whole card on which the weights are being trained."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from restem.engines import Completion
from restem.parameters import TrainingParameters
from restem.policies.policy import Policy
from restem.training.run import train
from restem.training.set_aside import set_aside, tensors_of
from tests.builders import sums, weights
from tests.tiny_models import tiny_model, write_tiny_policy
from tests.training.trainings import validation

pytestmark = pytest.mark.usefixtures("one_thread")

NAME = "tests.training.test_set_aside:open_counting"
on_the_device: list[int] = []  # bytes that trainings held there when the engine was opened, in order


class _Silent:
    def sample(self, prompts: Sequence[str], *, n: int, **_: Any) -> Iterator[list[Completion]]:
        yield from ([Completion("no", 1, "stop")] * n for _ in prompts)


@contextmanager
def open_counting(policy_path: str | Path, **_: Any) -> Iterator[_Silent]:
    """Count the weights that are trained, and what their optimizers keep."""
    found = gc.get_objects()
    weights = [each for each in found if type(each) is torch.nn.Parameter and each.requires_grad]
    moments = [
        value
        for each in found
        if isinstance(each, torch.optim.Optimizer)
        for state in each.state.values()
        for value in state.values()
    ]
    assert weights
    assert moments
    on_the_device.append(sum(tensor.untyped_storage().nbytes() for tensor in [*weights, *moments]))
    yield _Silent()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    # Read as float32, these weights are no pages of the file: memory like a card's.
    return write_tiny_policy(tmp_path_factory.mktemp("base"), "llama", dtype="bfloat16")


def measured(policy: Policy, output: Path, **changed: Any) -> dict[str, torch.Tensor]:
    """Return the weights after two epochs, measured after each."""
    gc.collect()
    on_the_device.clear()
    options = {"epochs": 2, "batch_size": 2, "micro_batch_size": 2, "learning_rate": 1e-2, "dtype": "float32"}
    asked = validation([], engine=NAME)
    train(sums(), policy, parameters=TrainingParameters(**options | changed), output=output, validation=asked)
    return weights(output)


@pytest.mark.parametrize("changed", [{}, {"lora": {"rank": 2, "alpha": 4}}])
def test_nothing_of_the_training_is_on_the_card_while_its_reward_is_measured(
    policy: Policy, changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = measured(policy, tmp_path / "undisturbed", **changed)
    assert min(on_the_device) > 0
    monkeypatch.setattr("restem.training.weighted_sft.is_scarce", lambda _: True)  # as a card's memory is

    found = measured(policy, tmp_path / "policy", **changed)

    assert on_the_device == [0, 0]
    assert all(torch.equal(found[name], weight) for name, weight in undisturbed.items())


def test_tied_weights_and_views_are_what_they_were_when_they_come_back() -> None:
    model = tiny_model("llama", tie_word_embeddings=True)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.arange(5)[None]).logits.sum().backward()
    optimizer.step()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    view = model.get_input_embeddings().weight.data[3:5]

    with pytest.raises(KeyboardInterrupt), set_aside(tensors_of(model, optimizer), torch.device("cpu")):
        assert {weight.untyped_storage().nbytes() for weight in model.parameters()} == {0}
        raise KeyboardInterrupt

    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    model.get_output_embeddings().weight.data[3:5] = 7.0
    assert (view == 7.0).all()

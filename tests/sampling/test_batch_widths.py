"""The rows that are drawn at once: in bfloat16 they decide the bytes of a shard, so a journal entry holds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.engines import Batched, open_engine
from restem.engines.arithmetic import Arithmetic
from restem.engines.forward import SharedForward
from restem.engines.transformers import TransformersEngine
from restem.errors import EngineError, ScaleError
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling.batch_widths import narrower_widths, recorded_width
from restem.sampling.sampler import Decoding, Draw, EngineChoice, Sampling, draw_samples
from restem.store.journal import Journal, JournalEntry
from restem.store.provenance import versions
from tests.conftest import Logged
from tests.engines.conftest import make_policy

DECODING = Decoding("sampled", n=8, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=40, stop=())
CHOICE = EngineChoice("transformers", {"dtype": "bfloat16", "device": "cpu", "threads": 1}, True, questions_per_shard=4)
ASKED = pd.DataFrame(
    {
        "question_id": [f"q{row}" for row in range(8)],
        "prompt_id": [f"{row:016x}" for row in range(8)],
        "prompt": ["Q: the 1234 abba, quite long\nA:"[: 6 + 3 * row] for row in range(8)],
        "suite": "train",
    }
)
PLENTY = 1 << 40


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = make_policy(tmp_path_factory.mktemp("policy"), "llama", eos_token_id=[0, *range(5, 105, 9)])
    return Policy(path=str(folder), fingerprint="0" * 16, iteration=0, name="p", base="0" * 16)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the machine have so much free memory."""
    return lambda n_bytes: monkeypatch.setattr("restem.engines.memory.free_bytes", lambda _device: n_bytes)


@pytest.fixture
def most_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many rows each shard had at once, at its most, as they are drawn."""
    most: list[int] = []
    draw, read_rows = TransformersEngine._draw, SharedForward.read_rows

    def watched_draw(self: TransformersEngine, *arguments: Any) -> Any:
        most.append(0)
        return draw(self, *arguments)

    def watched(self: SharedForward, rows: Any) -> Any:
        if most:  # it was not only tried
            most[-1] = max(most[-1], len(rows))
        return read_rows(self, rows)

    monkeypatch.setattr(TransformersEngine, "_draw", watched_draw)
    monkeypatch.setattr(SharedForward, "read_rows", watched)
    return most


@pytest.fixture(scope="module")
def little(policy: Policy) -> int:
    """Return the bytes that must be free for eight rows at once."""
    with open_engine(CHOICE.name, policy.path, **CHOICE.options) as engine, pytest.MonkeyPatch.context() as patch:
        for n_bytes in (1 << power for power in range(40)):
            patch.setattr("restem.engines.memory.free_bytes", lambda _device, n_bytes=n_bytes: n_bytes)
            assert isinstance(engine, Batched)
            if engine.batch_width(ASKED["prompt"].to_list(), **DECODING.arguments()) == 8:
                return n_bytes
    raise AssertionError("no memory gives eight rows")


def drawn(journal: Path, policy: Policy, width_in: Path | None = None) -> list[Path]:
    draw = Draw(ASKED, DECODING, purpose="train", iteration=1)
    return draw_samples(
        [draw], policy, choice=CHOICE, journal=Journal(journal), experiment_seed=5, width_in=width_in
    ).files


def test_a_shard_that_is_drawn_again_in_other_memory_gives_the_same_bytes(
    tmp_path: Path, policy: Policy, little: int, free: Callable[[int], None], most_rows: list[int]
) -> None:
    free(little)
    files = drawn(tmp_path / "journal", policy)
    before = [file.read_bytes() for file in files]
    files[1].unlink()

    free(PLENTY)
    again = drawn(tmp_path / "journal", policy)
    drawn(tmp_path / "another", policy)

    assert [file.read_bytes() for file in again] == before
    assert recorded_width(JournalEntry(files[0].parent)) == 8
    assert narrower_widths(JournalEntry(files[0].parent)) == {}
    assert most_rows[:3] == [8, 8, 8]  # of the two shards, and of the one again
    assert min(most_rows[3:]) > 8  # in another journal


def test_what_is_to_be_compared_is_drawn_with_one_width(
    tmp_path: Path, policy: Policy, little: int, free: Callable[[int], None], most_rows: list[int]
) -> None:
    held = tmp_path / "held"
    held.mkdir()

    for n_bytes, journal in ((little, "first"), (PLENTY, "second")):
        free(n_bytes)
        drawn(tmp_path / journal, policy, width_in=held)

    assert most_rows == [8, 8, 8, 8]


def test_a_width_that_does_not_fit_any_more_is_narrowed_recorded_and_said(
    tmp_path: Path, policy: Policy, free: Callable[[int], None], warned: Logged
) -> None:
    free(PLENTY)
    files = drawn(tmp_path, policy)
    files[1].unlink()

    free(1)
    drawn(tmp_path, policy)

    entry = JournalEntry(files[0].parent)
    assert recorded_width(entry) == 256
    assert narrower_widths(entry) == {"00001": [1]}
    assert [record.name for record in warned] == ["restem.sampling.batch_widths"]


def test_a_little_less_memory_narrows_nothing(
    tmp_path: Path, policy: Policy, little: int, free: Callable[[int], None]
) -> None:
    free(little)
    files = drawn(tmp_path, policy)
    files[1].unlink()

    free(little * 2 // 3)
    drawn(tmp_path, policy)

    assert narrower_widths(JournalEntry(files[0].parent)) == {}


def test_of_two_workers_that_choose_at_once_the_first_decides(tmp_path: Path) -> None:
    entry = JournalEntry(tmp_path)

    assert [entry.write_first("batch_width", "64"), entry.write_first("batch_width", "128")] == ["64", "64"]
    assert entry.names() == {"batch_width"}


def test_a_worker_that_would_compute_otherwise_is_refused(policy: Policy) -> None:
    run_in = Arithmetic("float32", "cpu")
    work = Sampling(policy, CHOICE, 0, versions("torch"), run_in)

    with pytest.raises(EngineError, match=r"would compute in bfloat16 on cpu, .* float32 on cpu"), work.open():
        pass


def test_a_gpu_that_workers_do_not_see_is_not_sampled_without(tmp_path: Path, policy: Policy) -> None:
    choice = CHOICE._replace(options={"dtype": "bfloat16", "device": "cuda"})
    draw = Draw(ASKED, DECODING, purpose="train", iteration=1)

    with pytest.raises(ScaleError, match=r"scale.sampling.gpus=0 hides it"):
        draw_samples(
            [draw],
            policy,
            choice=choice,
            journal=Journal(tmp_path),
            experiment_seed=5,
            scale=ScaleParameters(backend="ray"),
        )

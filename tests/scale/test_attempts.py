"""Which shards are tried again, and what is said of those that are not."""

from pathlib import Path

import pytest

from restem.errors import ScaleError
from restem.scale import Shard
from restem.scale.attempts import Attempts


def attempts(n_shards: int, *, retries: int) -> Attempts:
    shards = (Shard(Path(f"{number}.parquet"), (f"q{number}", f"r{number}"), None) for number in range(n_shards))
    return Attempts(shards, n_shards=n_shards, retries=retries)


def test_a_shard_that_failed_is_tried_again_before_others() -> None:
    waiting = attempts(3, retries=1)

    failed = waiting.take()
    waiting.put_back(failed, "bad luck")

    assert waiting.n_waiting == 3
    assert waiting.take().shard == failed.shard
    assert waiting.take().shard.target == Path("1.parquet")


def test_a_shard_that_failed_too_often_is_reported_with_its_questions_and_the_others_are_kept() -> None:
    waiting = attempts(3, retries=1)
    waiting.put_back(waiting.take(), "first")
    waiting.put_back(waiting.take(), "second")
    while waiting.n_waiting:
        waiting.take()

    with pytest.raises(
        ScaleError,
        match=r"1 of 3 shards failed 2 times each .* q0, r0 \(0.parquet\): second\. The oth"
        r"er 2 are finished and kept\. Mend",
    ):
        waiting.refuse_if_given_up()


def test_when_many_shards_fail_the_rest_is_not_begun() -> None:
    waiting = attempts(20, retries=0)

    while waiting.n_waiting:
        waiting.put_back(waiting.take(), "no")

    with pytest.raises(ScaleError, match=r"5 of 20 shards failed 1 times each .* other 0 are finished .* 15 were not"):
        waiting.refuse_if_given_up()


def test_nothing_is_said_when_all_succeed() -> None:
    waiting = attempts(2, retries=0)
    while waiting.n_waiting:
        waiting.take()

    waiting.refuse_if_given_up()

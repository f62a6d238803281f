import random
import unicodedata
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.contamination import grams, near_duplicates, separate_near_duplicates

WORDS = [f"word{i}" for i in range(500)]


def text(seed: int, n: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=n))


def questions(**texts: list[str]) -> pd.DataFrame:
    rows = [
        {"question_id": f"{split}{i}", "split": split, "text": one}
        for split, of_split in texts.items()
        for i, one in enumerate(of_split)
    ]
    return pd.DataFrame(rows)


def separated(table: pd.DataFrame, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return separate_near_duplicates(table, QuestionsParameters(**changes))


def test_same_question_in_other_case_and_punctuation_is_found_and_removed_from_train() -> None:
    table = questions(train=[text(0), text(1), text(2)], test=[text(1).upper() + "?", text(3)])

    kept, found = separated(table)

    assert list(kept["question_id"]) == ["train0", "train2", "test0", "test1"]
    assert found[["question_id", "same_as", "similarity"]].to_numpy().tolist() == [["train1", "test0", 1.0]]


def test_one_changed_word_in_forty_is_near() -> None:
    changed = text(1).split()
    changed[20] = "other"
    table = questions(train=[text(1), text(2)], validation=[" ".join(changed)], test=[text(3)])

    _, found = separated(table)

    assert list(found["question_id"]) == ["train0"]
    assert found["similarity"][0] == pytest.approx(31 / 41)


def test_other_numbers_and_operators_make_another_question() -> None:
    table = questions(train=["What is 12 + 7 ?", "What is 12 + 8 ?"], test=["What is 12 - 7 ?"])

    assert len(near_duplicates(table, similarity=0.7)) == 0


def test_exemplars_and_every_measured_split_count() -> None:
    table = questions(
        train=[text(0), text(1), text(9)], exemplar=[text(2)], validation=[text(0)], test=[text(2)], transfer=[text(1)]
    )

    _, found = separated(table, near_duplicates="keep")

    assert set(zip(found["split"], found["same_as_split"], strict=True)) == {
        ("train", "validation"),
        ("train", "transfer"),
        ("exemplar", "test"),
    }


def test_keep_lists_and_keeps_and_fail_stops() -> None:
    table = questions(train=[text(0), text(1)], test=[text(0)])

    kept, found = separated(table, near_duplicates="keep")

    assert (len(kept), len(found)) == (3, 1)
    with pytest.raises(QuestionsError, match="1 of 2 training questions, such as"):
        separated(table, near_duplicates="fail")


def test_removing_most_training_questions_is_refused() -> None:
    pattern = [f"{text(0)} {number}" for number in range(10)]

    with pytest.raises(QuestionsError, match="made from one pattern"):
        separated(questions(train=pattern[:8], test=pattern[8:]))


def test_hashing_misses_no_pair_that_comparing_all_finds() -> None:
    draw = random.Random(0)
    measured = [text(i) for i in range(60)]
    learned = []
    for one in measured:
        words = one.split()
        for _ in range(draw.randint(0, 4)):
            words[draw.randrange(len(words))] = "changed"
        learned.append(" ".join(words))

    found = near_duplicates(questions(train=learned, test=measured), similarity=0.5)

    alike = [len(grams(a) & grams(b)) / len(grams(a) | grams(b)) for a, b in zip(learned, measured, strict=True)]
    assert len(found) == sum(value >= 0.5 for value in alike)


def test_nothing_measured_gives_an_empty_list_with_columns() -> None:
    found = near_duplicates(questions(train=[text(0)]), similarity=0.7)

    assert len(found) == 0
    assert "same_as" in found.columns


@pytest.mark.parametrize(
    "change",
    [
        lambda words: unicodedata.normalize("NFD", words),
        lambda words: words.replace("e", "e\u200b"),
        lambda words: words.replace(" ", "\u00a0").replace("o", "\uff4f"),
        lambda words: words.replace("r", "r\u00ad") + "\ufeff",
        lambda words: words.upper(),
    ],
)
def test_same_question_in_another_encoding_is_found(change: Callable[[str], str]) -> None:
    accented = text(1).replace("word", "wörde straße ")
    table = questions(train=[text(0), accented, text(2)], validation=[change(accented)], test=[text(3)])

    _, found = separated(table)

    assert found[["question_id", "similarity"]].to_numpy().tolist() == [["train1", 1.0]]

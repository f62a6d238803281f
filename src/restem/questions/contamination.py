"""Training questions that are evaluated too: found, listed, and by default not trained on.

Texts are compared as sets of 5-grams of words, numbers and symbols, without case, punctuation, ways of encoding, and
what nobody can see. MinHash finds the pairs that may be alike, and their exact Jaccard similarity decides, so that a
result does not hang on a hash.

Source: Broder 1997, On the resemblance and containment of documents, https://doi.org/10.1109/SEQUEN.1997.666900;
5-grams as in Lee et al. 2022, https://arxiv.org/abs/2107.06499, whose threshold for documents is 0.8; for questions,
which are short, ours is 0.7: about one word in forty is another.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.likeness import all_asked, same_text
from restem.schemas import LEARNED_FROM, MEASURED
from restem.store.tables import Table

COLUMNS = ["question_id", "split", "same_as", "same_as_split", "similarity", "text", "same_as_text"]
_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s.,;:!?'\"]")  # 1 + 2 is not 1 - 2
_N = 5
_HASHES = 128  # per question; the standard error of the estimate is about 0.09
_SLACK = 0.15  # MinHash looks this far below the threshold,
_MISSES_MATTER = (0.1, 0.9)  # and is tuned against misses (weights of false positives and negatives)
_MAX_SHARE = 0.5  # of the training questions that may be removed before something is wrong with the idea


class _Gist(NamedTuple):
    """What is compared of a question."""

    question_id: str
    split: str
    text: str
    grams: frozenset[str]


def separate_near_duplicates(questions: Table, parameters: QuestionsParameters) -> tuple[Table, Table]:
    """Return the questions to go on with, and the list of training questions that are evaluated too.

    Each is listed with the evaluated question that is most like it; `similarity` is 1 if all n-grams are the same.

    Raises:
        QuestionsError: If there are any and `questions.near_duplicates` is fail, or if most of the training
            questions would go.
    """
    duplicates = near_duplicates(questions, similarity=parameters.near_duplicate_similarity)
    if len(duplicates) == 0 or parameters.near_duplicates == "keep":
        return questions, duplicates
    example = duplicates.iloc[0]
    n_train = int((questions["split"] == "train").sum())
    shown = (
        f"{len(duplicates)} of {n_train} training questions, such as {example['text'][:80]!r}, are in what is evaluated"
    )
    if parameters.near_duplicates == "fail":
        raise QuestionsError(f"{shown}; leave them out with questions.near_duplicates=remove")
    if (duplicates["split"] == "train").sum() > _MAX_SHARE * n_train:
        raise QuestionsError(
            f"{shown}, too many to leave out. Questions made from one pattern are all alike: raise "
            f"questions.near_duplicate_similarity (now {parameters.near_duplicate_similarity}), or set "
            "questions.near_duplicates=keep"
        )
    return questions[~questions["question_id"].isin(duplicates["question_id"])].reset_index(drop=True), duplicates


def near_duplicates(questions: Table, *, similarity: float) -> Table:
    """Return a row for every training question or exemplar that is like an evaluated question, the closest first.

    Args:
        questions: The table `questions`.
        similarity: Least Jaccard similarity of two questions that are alike, in (0, 1].
    """
    import pandas as pd

    learned = [_gist(row) for row in _of(questions, LEARNED_FROM)]
    measured = [_gist(row) for row in _of(questions, MEASURED)]
    rows = list(_most_alike(learned, measured, similarity))
    duplicates = pd.DataFrame(rows, columns=COLUMNS).astype({"similarity": "float64"})
    return duplicates.sort_values(["similarity", "question_id"], ascending=[False, True], ignore_index=True)


def grams(text: str) -> frozenset[str]:
    """Return the 5-grams of a text, or the whole of it if it is shorter."""
    words = _WORD.findall(same_text(text).casefold())
    last = max(len(words) - _N, 0)
    return frozenset(" ".join(words[start : start + _N]) for start in range(last + 1))


def _of(questions: Table, splits: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    chosen = questions[questions["split"].isin(splits)]
    return zip(chosen["question_id"], chosen["split"], all_asked(chosen), strict=True)


def _gist(row: tuple[str, str, str]) -> _Gist:
    question_id, split, text = row
    return _Gist(question_id, split, text, grams(text))


def _most_alike(learned: list[_Gist], measured: list[_Gist], similarity: float) -> Iterator[tuple[object, ...]]:
    from datasketch import MinHashLSH

    if not (learned and measured):
        return
    index = MinHashLSH(threshold=max(similarity - _SLACK, 0.1), num_perm=_HASHES, weights=_MISSES_MATTER)
    for number, minhash in enumerate(_hashed(measured)):
        index.insert(number, minhash)
    for gist, minhash in zip(learned, _hashed(learned), strict=True):
        near = [(_jaccard(gist.grams, measured[number].grams), number) for number in sorted(index.query(minhash))]
        best, number = max(near, default=(0.0, 0), key=lambda pair: (pair[0], -pair[1]))
        if best >= similarity:
            twin = measured[number]
            yield gist.question_id, gist.split, twin.question_id, twin.split, best, gist.text, twin.text


def _hashed(gists: list[_Gist]) -> Iterator[Any]:
    from datasketch import MinHash

    encoded = ([gram.encode() for gram in gist.grams] for gist in gists)
    hashed: Iterator[Any] = MinHash.generator(encoded, num_perm=_HASHES, hashfunc=zlib.crc32)  # quicker than SHA-1
    return hashed


def _jaccard(words: frozenset[str], other: frozenset[str]) -> float:
    return len(words & other) / len(words | other)

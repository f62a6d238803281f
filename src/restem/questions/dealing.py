"""From the splits of a public set to the splits of an experiment."""

import logging
from collections.abc import Iterable, Iterator

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.likeness import same_text
from restem.questions.public import Row
from restem.store.fingerprints import question_seed

_log = logging.getLogger(__name__)


def deal(rows: Iterable[Row], parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield exemplars, test, validation and training questions, as many as asked for, chosen by `questions.seed`.

    A split that the set does not have is carved from its training questions: exemplars first, of those with a
    human solution, then validation. A set in one piece is dealt out whole: exemplars, test, validation, train. The
    choice does not depend on the order of the file, and asking for more training questions leaves the others.

    Args:
        rows: With `split` as the set has it: train, validation, test, exemplar, or "".
        parameters: For the numbers and the seed; None is all that are left.

    Raises:
        QuestionsError: If there are fewer than asked for.
    """
    pools = _pools(rows, parameters.seed)
    if len(pools) == 1:
        pools = {"train": next(iter(pools.values()))}
    wanted = {
        "exemplar": parameters.n_exemplars,
        "test": parameters.n_test,
        "validation": parameters.n_validation,
        "train": parameters.n_train,
    }
    for split, n in wanted.items():
        source = split if split in pools else "train"
        pool = pools.get(source, [])
        chosen = [row for row in pool if split != "exemplar" or row["gold"].get("solution")][:n]
        if n is not None and len(chosen) < n:
            raise QuestionsError(_too_few(split, n, len(chosen), parameters))
        taken = {id(row) for row in chosen}
        pools[source] = [row for row in pool if id(row) not in taken]
        yield from ({**row, "split": split} for row in chosen)


def as_many_as_asked(rows: Iterable[Row], parameters: QuestionsParameters) -> list[Row]:
    """Return at most as many rows of each split as are asked for, in their order; `questions.seed` chooses them.

    It is for rows that have their splits, as those of a file: where there are fewer, all are taken, as the log says.

    Args:
        rows: With `split` as the experiment has it.
        parameters: For the numbers and the seed; None is all.
    """
    rows = list(rows)
    wanted = {
        "exemplar": parameters.n_exemplars,
        "test": parameters.n_test,
        "validation": parameters.n_validation,
        "train": parameters.n_train,
    }
    kept: set[int] = set()
    for split in dict.fromkeys(str(row.get("split")) for row in rows):
        of_split = [index for index, row in enumerate(rows) if str(row.get("split")) == split]
        n = wanted.get(split)
        if n is not None and n < len(of_split):
            of_split.sort(key=lambda index: question_seed(parameters.seed, "deal", str(rows[index].get("text"))))
        elif n is not None and n > len(of_split):
            _log.info("%s=%d, and there are %d: all are taken", _parameter(split), n, len(of_split))
        kept.update(of_split[:n])
    return [row for index, row in enumerate(rows) if index in kept]


def _pools(rows: Iterable[Row], seed: int) -> dict[str, list[Row]]:
    """Return the rows by split, shuffled, no text twice in a split."""
    pools: dict[str, dict[str, Row]] = {}
    for row in rows:
        pools.setdefault(row["split"], {}).setdefault(same_text(row["text"]), row)
    return {
        split: [pool[text] for text in sorted(pool, key=lambda text: question_seed(seed, "deal", text))]
        for split, pool in pools.items()
    }


def _too_few(split: str, n: int, n_found: int, parameters: QuestionsParameters) -> str:
    kind = "with a human solution " if split == "exemplar" else ""
    name = _parameter(split)
    return (
        f"{name} is {n}, but {parameters.source} has only {n_found} questions {kind}left for it; "
        f"ask for fewer, or for all that are left with {name}=null"
    )


def _parameter(split: str) -> str:
    return f"questions.n_{'exemplars' if split == 'exemplar' else split}"

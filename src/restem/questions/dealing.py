"""From the splits of a data set to the splits of an experiment."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.likeness import asked, same_question
from restem.questions.public import Row
from restem.store.fingerprints import question_seed

_logger = logging.getLogger(__name__)

_Pools = dict[str, list[Row]]  # by split, shuffled


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
    for split, n in rows_wanted(parameters).items():
        chosen = _taken(pools, split, n)
        if n is not None and len(chosen) < n:
            raise QuestionsError(_too_few(split, n, len(chosen), parameters))
        yield from chosen


def deal_what_there_is(rows: Iterable[Row], parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield questions as `deal` does, of a set that may be small, and of which nothing is known.

    A split that the set has gives at most as many as asked for, and so do training questions; of those that must be
    carved all that are asked for are there. Where nothing has a human solution, exemplars show the bare answer. A
    validation question that is in the test split too is left out.

    Args:
        rows: With `split` as the set has it: train, validation, test, exemplar, or "".
        parameters: For the numbers and the seed; None is all that are left.

    Raises:
        QuestionsError: If the set has nothing to train on, or is too small to carve splits from.
    """
    rows = list(rows)
    pools = _pools(rows, parameters.seed)
    n_again = len(rows) - sum(map(len, pools.values()))
    if "" in pools:
        pools = {"train": pools.pop(""), **pools}
    if n_again:
        _logger.warning("%d of %d questions are there more than once: the first of each is taken", n_again, len(rows))
    wanted = rows_wanted(parameters)
    _check_carvable(pools, wanted)
    for split, n in wanted.items():
        chosen = _taken(pools, split, n, needs_solution=False)
        if n is not None and len(chosen) < n:
            _logger.info("%s=%d, and there are %d: all are taken", _parameter(split), n, len(chosen))
        yield from chosen
        if split == "test" and "validation" in pools:
            measured = {same_question(row) for row in chosen}
            pools["validation"] = [row for row in pools["validation"] if same_question(row) not in measured]


def as_many_as_asked(rows: Iterable[Row], parameters: QuestionsParameters) -> list[Row]:
    """Return at most as many rows of each split as are asked for, in their order; `questions.seed` chooses them.

    It is for rows that have their splits, as those of a file: where there are fewer, all are taken, as the log says.

    Args:
        rows: With `split` as the experiment has it.
        parameters: For the numbers and the seed; None is all.
    """
    rows = list(rows)
    wanted = rows_wanted(parameters)
    kept: set[int] = set()
    for split in dict.fromkeys(str(row.get("split")) for row in rows):
        of_split = [index for index, row in enumerate(rows) if str(row.get("split")) == split]
        n = wanted.get(split)
        if n is not None and n < len(of_split):
            of_split.sort(key=lambda index: question_seed(parameters.seed, "deal", str(rows[index].get("text"))))
        elif n is not None and n > len(of_split):
            _logger.info("%s=%d, and there are %d: all are taken", _parameter(split), n, len(of_split))
        kept.update(of_split[:n])
    return [row for index, row in enumerate(rows) if index in kept]


def rows_wanted(parameters: QuestionsParameters) -> dict[str, int | None]:
    """Return how many of each split are asked for, in the order in which they are chosen; None is all."""
    return {
        "exemplar": parameters.n_exemplars,
        "test": parameters.n_test,
        "validation": parameters.n_validation,
        "train": parameters.n_train,
    }


def _pools(rows: Iterable[Row], seed: int) -> _Pools:
    """Return the rows by split, shuffled, no question twice in a split."""
    by_split: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_split.setdefault(row["split"], {}).setdefault(same_question(row), row)
    pools = {
        split: [pool[text] for text in sorted(pool, key=lambda text: question_seed(seed, "deal", text))]
        for split, pool in by_split.items()
    }
    return pools


def _taken(pools: _Pools, split: str, n: int | None, *, needs_solution: bool = True) -> list[Row]:
    """Return the first n of a split, or all, and take them out of their pool."""
    source = split if split in pools else "train"
    pool = pools.get(source, [])
    chosen = (_shown(pool, needs_solution=needs_solution) if split == "exemplar" else pool)[:n]
    taken = {id(row) for row in chosen}
    pools[source] = [row for row in pool if id(row) not in taken]
    return [{**row, "split": split} for row in chosen]


def _shown(pool: list[Row], *, needs_solution: bool) -> list[Row]:
    """Return the questions that an exemplar may be: with a human solution, or with an answer where none has one."""
    alone = [row for row in pool if asked(row) == row["text"]]  # of a conversation only the end would be shown
    solved = [row for row in alone if row["gold"] and row["gold"].get("solution")]
    return solved or ([] if needs_solution else [row for row in alone if row["gold"] and row["gold"].get("answer")])


def _check_carvable(pools: _Pools, wanted: Mapping[str, int | None]) -> None:
    """Raise if there is nothing to train on, or nothing left to train on behind what must be carved.

    Raises:
        QuestionsError: With numbers that go.
    """
    needs_train = wanted["train"] != 0
    n = len(pools.get("train", []))
    if needs_train and not n:
        raise QuestionsError(
            f"the data set has the splits {', '.join(pools)} and none to train on; say which is: train in "
            "questions.options.splits of a hub, or in questions.options.path of files"
        )
    carved = {split: wanted[split] or 0 for split in ("exemplar", "test", "validation") if split not in pools}
    if sum(carved.values()) + needs_train <= n:
        return
    fits = {split: _fitting(split, m, n) for split, m in carved.items() if m}
    goes = ",".join(f"{_parameter(split)}={m}" for split, m in fits.items())
    advice = f"ask for fewer, as --params={goes}" if sum(fits.values()) < n else "it is too small for that"
    asked = (f"{_parameter(split)}={m}" for split, m in carved.items() if m)
    raise QuestionsError(
        f"the data set has {n} questions {'in one piece' if len(pools) == 1 else 'to train on'}, and "
        f"{', '.join(asked)} are to be taken out of them with some left to train on; {advice}"
    )


_ONE_IN = {"exemplar": 20, "test": 4, "validation": 10}  # questions of a small set; ours


def _fitting(split: str, wanted: int, n: int) -> int:
    return min(wanted, max(n // _ONE_IN[split], 1))


def fitting(parameters: QuestionsParameters, *, n: int, carved: Collection[str]) -> dict[str, int]:
    """Return the numbers of `questions` that must be lower for a set of n questions to train on, by parameter.

    Args:
        parameters: For the numbers asked for.
        n: Questions that are in one piece, or in the split train.
        carved: The splits that must be taken out of them: exemplar, test, validation.
    """
    wanted = {split: number or 0 for split, number in rows_wanted(parameters).items() if split in carved}
    if sum(wanted.values()) < n:
        return {}
    return {
        _parameter(split).partition(".")[2]: _fitting(split, number, n) for split, number in wanted.items() if number
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

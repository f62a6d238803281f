"""Questions from reasoning-gym: about a hundred procedural tasks, each with its own scorer.

Options: `tasks`, a mapping from task name to its configuration, by default sums of two numbers of one or two digits;
`max_constant_share`, the share of questions that one constant answer may win; and `answers_are_solutions`, which lets
the bare answer stand for a human solution, to learn from where a method does.

Source: https://github.com/open-thought/reasoning-gym (Apache-2.0).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.store.fingerprints import question_seed

# SmolLM2-135M-Instruct is right now and then, and often enough in many tries, which is what self-training feeds on.
DEFAULT_TASKS = {"chain_sum": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}}
_ATTEMPTS_PER_QUESTION = 20
_MIN_FOR_CONSTANT_CHECK = 20
_DEFAULT_MAX_CONSTANT_SHARE = 0.25


def load(parameters: QuestionsParameters) -> Iterator[dict[str, Any]]:
    """Yield the rows of every split, each task an equal share, no text twice."""
    options = dict(parameters.options)
    tasks = options.pop("tasks", None) or DEFAULT_TASKS
    max_constant_share = options.pop("max_constant_share", _DEFAULT_MAX_CONSTANT_SHARE)
    is_solution = bool(options.pop("answers_are_solutions", False))
    if options:
        raise QuestionsError(f"questions.options.{next(iter(options))} is not an option of reasoning_gym")
    if not isinstance(tasks, Mapping):
        raise QuestionsError("questions.options.tasks must map task names to configurations, as {chain_sum: {}}")
    if None in {parameters.n_train, parameters.n_validation, parameters.n_test}:
        raise QuestionsError("questions.n_train, n_validation and n_test must be numbers: reasoning_gym is endless")
    # Training questions are drawn last: asking for more of them leaves the other splits as they were.
    wanted = {
        "exemplar": parameters.n_exemplars,
        "test": parameters.n_test or 0,
        "validation": parameters.n_validation or 0,
        "train": parameters.n_train or 0,
    }
    streams = {
        name: _distinct(name, config or {}, parameters.seed, sum(wanted.values())) for name, config in tasks.items()
    }
    names = list(tasks)
    answers: dict[str, Counter[str]] = {name: Counter() for name in names}
    for split, n in wanted.items():
        for number in range(n):
            name = names[number % len(names)]
            entry = next(streams[name])
            answers[name][str(entry["answer"])] += 1
            yield _row(name, entry, split, is_solution=is_solution)
    _refuse_constant_answers(answers, max_constant_share)


def _distinct(task: str, config: Mapping[str, Any], seed: int, n: int) -> Iterator[dict[str, Any]]:
    import reasoning_gym

    attempts = n * _ATTEMPTS_PER_QUESTION
    try:
        entries = reasoning_gym.create_dataset(
            task, **config, size=attempts, seed=question_seed(seed, "questions", task) % 2**31
        )
    except (ValueError, TypeError, AssertionError) as error:
        raise QuestionsError(f"questions.options.tasks.{task}: {error}") from error
    seen: set[str] = set()
    for entry in entries:
        if entry["question"] not in seen:
            seen.add(entry["question"])
            yield entry
    raise QuestionsError(
        f"questions.options.tasks.{task}: {attempts} draws gave only {len(seen)} different questions; "
        "ask for fewer (questions.n_train, n_validation, n_test) or make the task larger"
    )


def _row(task: str, entry: dict[str, Any], split: str, *, is_solution: bool) -> dict[str, Any]:
    solution = {"solution": str(entry["answer"])} if is_solution else {}
    return {
        "text": entry["question"],
        "gold": {"answer": str(entry["answer"]), "task": task, "entry": entry, **solution},
        "reward": "reasoning_gym",
        "level": task,
        "source": f"reasoning_gym/{task}",
        "split": split,
        "licence": "Apache-2.0",
    }


def _refuse_constant_answers(answers: Mapping[str, Counter[str]], max_share: float) -> None:
    for task, counts in answers.items():
        (answer, n), total = counts.most_common(1)[0], counts.total()
        if total >= _MIN_FOR_CONSTANT_CHECK and n > max_share * total:
            raise QuestionsError(
                f"questions.options.tasks.{task}: always answering {answer!r} is right for {n} of {total} questions, "
                "so a rising score would not show learning; choose another task or configuration, "
                "or raise questions.options.max_constant_share"
            )

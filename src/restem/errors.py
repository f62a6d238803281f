"""The errors that a user can mend. They print as one message, without a traceback.

RestemError
├── ParameterError        a value in conf/ or --params
├── QuestionsError        a source of questions, or what it holds
├── PolicyError           a model folder, a package, a tokenizer
├── PromptError           a prompt that cannot be rendered
├── EngineError           an engine that cannot be had, or that failed
├── RewardError           a reward that cannot be had, or whose own machinery failed
├── EmptyTrainingSetError an iteration that found nothing to learn from
├── TrainingError         a training run that cannot go on
├── EvaluationError       evaluations that are missing or cannot be compared
├── SelectionError        a pipeline, node, tag, dataset or runner that is not there to run
├── ExperimentError       the order of things: prepare first, one run at a time, complete
├── LineageError          an id that the experiment does not have, or has more than once
├── DamageError           a file that is not what was written
├── StorageError          a disk that is full, read-only or failing, or what is in a file's way
├── BudgetError           what the experiment may take is spent; its exit status is 75, that of faults is 1
├── StudyError            the file of a study, or experiments that do not belong in one
└── ScaleError            a cluster, or shards that failed too often
"""

from collections.abc import Iterable

import click

from restem.masking import mask

_NAMED = 5  # in a message


def first_few(names: Iterable[object], *, separator: str = ", ") -> str:
    """Return the first few names for a message, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return separator.join(listed[:_NAMED]) + more


class RestemError(click.ClickException):
    """A fault that the user can mend; the message says what was asked, found, and to do."""

    def __init__(self, message: str) -> None:
        """Keep the message, without the secrets that it may quote."""
        super().__init__(mask(message))

    def __str__(self) -> str:
        """Return the message alone."""
        return self.message


class ParameterError(RestemError):
    """A parameter is unknown, of a wrong type, or out of range."""


class QuestionsError(RestemError):
    """Questions are missing, malformed, or shared between splits."""


class PolicyError(RestemError):
    """A policy cannot be found, read or trusted."""


class PromptError(RestemError):
    """A question cannot be rendered as a prompt."""


class EngineError(RestemError):
    """An engine is unknown, lacks its package, or was asked for the impossible."""


class RewardError(RestemError):
    """A reward is unknown, lacks its package, or its own machinery failed."""


class EmptyTrainingSetError(RestemError):
    """The filter kept nothing."""


class TrainingError(RestemError):
    """Training cannot start or go on."""


class EvaluationError(RestemError):
    """Evaluations are missing or do not belong together."""


class LineageError(RestemError):
    """An id names nothing in the experiment, or more than one thing."""


class SelectionError(RestemError):
    """What is to be run is not there, or not to be run so."""


class ExperimentError(RestemError):
    """The experiment is not in the state that the command needs."""


class DamageError(RestemError):
    """A file that a step reads is not what was written: cut short, changed, or gone."""


class StorageError(RestemError):
    """A file cannot be written: the disk is full, read-only or failing, or something is in its place."""


class BudgetError(RestemError):
    """What an experiment may take is spent. It is no fault: what was finished is kept, and the run can go on."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class StudyError(RestemError):
    """A study is unknown, malformed, or lacks what it compares."""


class ScaleError(RestemError):
    """A cluster cannot be had or used, or some shards failed as often as they were tried."""

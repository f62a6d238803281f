"""Parameters that contradict one another."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from restem.configuration.contradictions_of_prompts import Rule, is_of_ones_own, rules_of_prompts, rules_of_reasoning
from restem.engines import known_engines
from restem.engines.file import ITERATION
from restem.engines.file import NAME as FILE
from restem.errors import ParameterError
from restem.masking import secrets_in
from restem.parameters import Parameters, QuestionsParameters, TrainingParameters
from restem.parameters.decides import declared
from restem.schemas import MAJORITY, OWN_SUITES
from restem.training.launch import refuse_unlaunchable

_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # no path holds the first, no UTF-8 the others
_JUDGE = "judge"  # the reward that asks a server


def contradictions(parameters: Parameters) -> list[str]:
    """Return what is wrong with parameters that are each right by themselves, in the words that the user typed."""
    rules = [
        *_rules_of_evaluation(parameters),
        *_rules_of_training(parameters),
        *rules_of_prompts(parameters),
        *_rules_of_sampling(parameters),
        *rules_of_reasoning(parameters),
        *_rules_of_majority(parameters),
        *_rules_of_prices(parameters),
    ]
    secret = list(map(_secret, secrets_in(asdict(parameters))))  # first: what follows shows values
    return [*secret, *(problem for holds, problem in rules if not holds), *_unwritable(parameters)]


def _rules_of_evaluation(parameters: Parameters) -> list[Rule]:
    evaluation, em = parameters.evaluation, parameters.em
    return [
        (
            max(evaluation.k, default=1) <= evaluation.n,
            f"evaluation.k must be at most evaluation.n = {evaluation.n}, got {evaluation.k}",
        ),
        *((name in _suites(parameters), _no_suite(name, parameters)) for name in evaluation.of_suite),
        (
            (em.iteration or 1) <= em.iterations,
            f"em.iteration must be at most em.iterations = {em.iterations}, got {em.iteration}",
        ),
    ]


def _rules_of_training(parameters: Parameters) -> list[Rule]:
    unlaunchable = _problem_of(refuse_unlaunchable, parameters.training)
    return [
        (not unlaunchable, unlaunchable),
        (
            parameters.training.eval_every is None or _may_have_validation(parameters.questions),
            "training.eval_every asks for the reward on validation questions, and questions.n_validation is 0: "
            "raise it, or train all epochs with training.eval_every=null",
        ),
    ]


def _rules_of_sampling(parameters: Parameters) -> list[Rule]:
    sampling = parameters.sampling
    return [
        (
            ":" in sampling.engine or sampling.engine in known_engines(),
            f"sampling.engine must be one of {', '.join(known_engines())}, or a dotted path like "
            f"my_pkg.my_module:my_engine, got {sampling.engine!r}",
        ),
        (
            parameters.policy.teacher != "",
            "method=distill needs a teacher: --params=policy.teacher=MODEL, written as policy.model",
        ),
        *_rules_of_files(parameters),
        (
            sampling.n_questions is None or sampling.share_of_questions == 1.0,
            "sampling.n_questions and sampling.share_of_questions say the same; set one of them",
        ),
        (
            sampling.temperature > 0 or sampling.n == 1,
            f"sampling.n must be 1 when sampling.temperature is 0 (all would be the same), got {sampling.n}",
        ),
    ]


def _rules_of_files(parameters: Parameters) -> list[Rule]:
    """Return rules for samples that are read from files."""
    sampling, options = parameters.sampling, parameters.sampling.engine_options
    if sampling.engine != FILE:
        return []
    paths = [options.get("paths") or ()] if isinstance(options.get("paths"), str) else options.get("paths") or ()
    changes = ITERATION in "".join(map(str, paths)) or parameters.filtering.min_reward_step > 0
    return [
        (
            sampling.follow_up.rounds == 0,
            "sampling.follow_up asks again where too few samples are correct, and sampling.engine=file has what its "
            "files hold: sampling.follow_up.rounds must be 0",
        ),
        (
            parameters.policy.teacher is None,
            "policy.teacher samples in place of the current policy, and sampling.engine=file reads what it takes: "
            "leave one of them out",
        ),
        (
            parameters.em.iterations == 1 or changes or parameters.training.start_from == "previous",
            "sampling.engine=file gives every iteration the same samples, so that all after the first repeat it: "
            f"set em.iterations=1, or write {ITERATION} into sampling.engine_options.paths where files have the number "
            "of the iteration",
        ),
    ]


def _unwritable(parameters: Parameters) -> list[str]:
    """Return what holds something that no file can hold as it is, which YAML and --params can give."""
    return [
        f"{parameter.name} holds {leaf!r}, which cannot be written to a file"
        for parameter in declared(parameters)
        for leaf in _leaves(parameter.value)
        if (isinstance(leaf, float) and not math.isfinite(leaf)) or (isinstance(leaf, str) and _NO_TEXT.search(leaf))
    ]


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (key, *_leaves(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _secret(name: str) -> str:
    return (
        f"{name} holds a secret, and parameters are written into records: put it into an environment variable, and "
        "give that variable's name where an option takes one, as api_key_env does"
    )


def _may_have_validation(questions: QuestionsParameters) -> bool:
    """Return whether there can be validation questions; a file, or a source of one's own, says so itself."""
    return questions.n_validation != 0 or is_of_ones_own(questions)


def _rules_of_majority(parameters: Parameters) -> list[Rule]:
    """Return rules for the reward that has no ground truth."""
    questions = parameters.questions
    lies = "has no ground truth, so what it says of questions that are evaluated is no measurement"
    judging = {"questions.reward": questions.reward} | {
        f"questions.transfer.{name}.reward": entry.get("reward") for name, entry in questions.transfer.items() if entry
    }
    is_used = questions.train_reward == MAJORITY
    return [
        *(
            (reward != MAJORITY, f"{path}={MAJORITY} {lies}; for those to train on: questions.train_reward={MAJORITY}")
            for path, reward in judging.items()
        ),
        (
            not is_used or parameters.evaluation.n_train_questions == 0,
            f"questions.train_reward={MAJORITY} {lies}: leave out the suite train with evaluation.n_train_questions=0",
        ),
        (
            not is_used or parameters.sampling.follow_up.rounds == 0,
            f"questions.train_reward={MAJORITY} labels a question by all of its samples, so further ones cannot be "
            "judged apart: sampling.follow_up.rounds must be 0",
        ),
    ]


def _rules_of_prices(parameters: Parameters) -> list[Rule]:
    """Return rules for a budget of money: what is asked of a server must have a price, and something must have one."""
    limits, prices = parameters.limits, parameters.limits.prices
    if limits.budget.cost is None:
        return []
    sampling = parameters.sampling
    engines = [sampling.engine, sampling.engine_options.get("evaluate_with")]
    asked = {
        "sampling": (prices.sampling, "openai" in engines),
        "judge": (prices.judge, _names(parameters.scoring.options, _JUDGE)),
    }
    unpriced = [
        f"limits.prices.{spender}.{part}"
        for spender, (price, is_asked) in asked.items()
        for part, value in asdict(price).items()
        if is_asked and value is None
    ]
    of_all = [prices.hour, *asdict(prices.sampling).values(), *asdict(prices.judge).values()]
    return [
        (
            not unpriced,
            f"limits.budget.cost needs the prices of what is asked, per million tokens: set {', '.join(unpriced)}",
        ),
        (
            bool(unpriced) or any(of_all),
            "limits.budget.cost needs prices above 0: set limits.prices.hour, or prompt and completion of "
            "limits.prices.sampling (per million tokens)",
        ),
    ]


def _names(options: object, name: str) -> bool:
    """Return whether options of rewards, or of the parts of composed ones, name a reward."""
    if isinstance(options, Mapping):
        return any(name in (key, value) or _names(value, name) for key, value in options.items())
    return isinstance(options, (list, tuple)) and any(each == name or _names(each, name) for each in options)


def _problem_of(check: Callable[[TrainingParameters], None], training: TrainingParameters) -> str:
    try:
        check(training)
    except ParameterError as error:
        return error.message
    return ""


def _suites(parameters: Parameters) -> list[str]:
    """Return the suites that every policy is measured on."""
    return [*OWN_SUITES, *(name for name, entry in parameters.questions.transfer.items() if entry)]


def _no_suite(name: str, parameters: Parameters) -> str:
    return f"evaluation.of_suite.{name}: the suites are {', '.join(_suites(parameters))}; see questions.transfer"

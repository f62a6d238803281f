"""From the name of a reward to the reward."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.parameters.decides import deciding_options
from restem.rewards.composition import ComposedReward, checked_parts, checked_weights
from restem.rewards.own import OwnJudge
from restem.rewards.pool import WorkerPool
from restem.rewards.reasoning import USUAL, checked_reasoning
from restem.rewards.scoring import Reward, SingleReward, version_of
from restem.rewards.verdicts import Judge


class _BuiltIn(NamedTuple):
    judge_path: str  # "module:class"
    needs: tuple[str, ...]  # modules that must be importable
    install: str  # how to get them
    holds_limit: bool = False  # the judge is given timeout_s as an option, and holds it itself


_BUILT_IN = {
    "code": _BuiltIn("restem.rewards.code:CodeJudge", (), "", holds_limit=True),
    "exact": _BuiltIn("restem.rewards.exact:ExactJudge", (), ""),
    "format": _BuiltIn("restem.rewards.format:FormatJudge", (), ""),
    "judge": _BuiltIn("restem.rewards.judge:ModelJudge", ("httpx2",), "pip install httpx2"),
    "math": _BuiltIn("restem.rewards.math:MathJudge", ("mpmath", "math_verify"), "pip install mpmath math-verify"),
    "reasoning_gym": _BuiltIn(
        "restem.rewards.reasoning_gym:ReasoningGymJudge", ("reasoning_gym",), "pip install reasoning-gym"
    ),
}
COMPOSED = {"all_of": {"rewards"}, "weighted": {"rewards", "weights"}}  # the options that each needs


def load_reward(name: str, *, timeout_s: float = 5.0, workers: int = 2, **options: Any) -> Reward:
    """Return a reward. Its worker processes start with the first batch and end with `close()`, or the program.

    Args:
        name: A built-in reward, "all_of" or "weighted" others, or "my_pkg.my_module:my_reward", a function
            (question, completion) that returns a number in [0, 1] or a Verdict.
        timeout_s: Wall clock limit of one verdict, in seconds; for "code", what restem.rewards.code says.
        workers: Processes that judge at the same time.
        options: Of the reward; its module documents them. Every single reward takes `reasoning`, see
            restem.rewards.reasoning.

    Raises:
        RewardError: If there is no such reward or option, or its package is missing.
    """
    if not timeout_s > 0 or workers < 1:
        raise RewardError(
            f"timeout_s must be greater than 0 and workers at least 1, got timeout_s={timeout_s!r}, workers={workers!r}"
        )
    if name in COMPOSED:
        return _composed(name, options, timeout_s=timeout_s, workers=workers)
    try:
        reasoning = checked_reasoning(options.pop("reasoning", USUAL._asdict()))
    except ValueError as error:
        raise RewardError(f"the reward {name!r} refuses its options: {error}") from error
    if ":" in name:
        options = {"path": name, **options}
        judge_path = "restem.rewards.own:OwnJudge"
    elif name in _BUILT_IN:
        built_in = _BUILT_IN[name]
        missing = [module for module in built_in.needs if find_spec(module) is None]
        if missing:
            raise RewardError(f"the reward {name!r} needs {', '.join(missing)}: {built_in.install}")
        judge_path = built_in.judge_path
        if built_in.holds_limit:
            options = {**options, "timeout_s": timeout_s}
    else:
        raise _unknown(name)
    judge = _build(name, judge_path, options)
    version = version_of(name, judge, options, timeout_s, reasoning=reasoning)
    if hasattr(judge, "pool"):
        return SingleReward(name, judge, judge.pool(), version=version, reasoning=reasoning)
    patience_s = getattr(judge, "patience_s", None)
    sandbox = getattr(judge, "sandbox", "")
    pool = WorkerPool(judge_path, options, timeout_s=timeout_s, workers=workers, patience_s=patience_s, sandbox=sandbox)
    return SingleReward(name, judge, pool, version=version, reasoning=reasoning)


def deciding_reward_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a reward, and of its parts, that decide verdicts.

    Raises:
        RewardError: If there is no such reward.
    """
    if name in COMPOSED:
        parts = checked_parts(name, options.get("rewards"))
        return {**options, "rewards": {part: deciding_reward_options(part, of) for part, of in parts.items()}}
    if ":" in name:
        own = {option: value for option, value in options.items() if option != "reasoning"}
        return deciding_options(OwnJudge(path=name, **own).function, options)
    if name not in _BUILT_IN:
        raise _unknown(name)
    module, _, class_name = _BUILT_IN[name].judge_path.partition(":")
    return deciding_options(getattr(import_module(module), class_name), options)


def opinions(names: Iterable[str], options: Mapping[str, Any]) -> dict[str, str]:
    """Return whose opinion verdicts are, of the rewards that check nothing; nothing is loaded.

    Args:
        names: Of rewards.
        options: Their options by name, as in `scoring.options`.
    """
    from restem.rewards.judge import opinion_of

    found = {}
    for name in names:
        of_reward = options.get(name) or {}
        inner = opinions(of_reward["rewards"], of_reward["rewards"]) if name in COMPOSED else {}
        if name == "judge" or inner:
            found[name] = opinion_of(of_reward) if name == "judge" else "; ".join(inner.values())
    return found


def _unknown(name: str) -> RewardError:
    return RewardError(
        f"there is no reward {name!r}; known are {', '.join(sorted([*_BUILT_IN, *COMPOSED]))}, "
        "or 'my_pkg.my_module:my_reward' for a function of your own"
    )


def _composed(name: str, options: dict[str, Any], *, timeout_s: float, workers: int) -> Reward:
    if set(options) - COMPOSED[name]:
        raise RewardError(f"the reward {name!r} takes {' and '.join(sorted(COMPOSED[name]))}, got {sorted(options)}")
    of_parts = checked_parts(name, options.get("rewards"))
    weights = checked_weights(name, options.get("weights"), of_parts) if "weights" in COMPOSED[name] else None
    parts = {}
    for part, part_options in of_parts.items():
        try:
            parts[part] = load_reward(part, timeout_s=timeout_s, workers=workers, **part_options)
        except RewardError as error:
            raise RewardError(f"{name}.rewards.{part}: {error}") from error
    return ComposedReward(name, parts, weights)


def _build(name: str, judge_path: str, options: dict[str, Any]) -> Judge:
    module, _, class_name = judge_path.partition(":")
    try:
        judge: Judge = getattr(import_module(module), class_name)(**options)
    except (TypeError, ValueError) as error:  # an unknown option, or a value out of range
        shown = {key: value for key, value in options.items() if key != "path"}
        raise RewardError(f"the reward {name!r} refuses its options {shown}: {error}") from error
    return judge

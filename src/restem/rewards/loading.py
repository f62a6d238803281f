"""From the name of a reward to the reward."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.parameters.decides import deciding_options
from restem.rewards import majority
from restem.rewards.base import Judge
from restem.rewards.composition import ComposedReward, checked_parts, checked_weights
from restem.rewards.majority import MajorityReward
from restem.rewards.own import OwnJudge
from restem.rewards.scoring import Reward, judge_class, open_single
from restem.schemas import MAJORITY
from restem.store.importing import import_function


class _Place(NamedTuple):
    """Where a single reward is."""

    judge_path: str  # "module:class"
    needs: tuple[str, ...] = ()  # modules that must be importable
    install: str = ""  # how to get them
    given: Mapping[str, Any] = {}  # options beside the user's


_BUILT_IN = {
    "code": _Place("restem.rewards.code:CodeJudge"),
    "exact": _Place("restem.rewards.exact:ExactJudge"),
    "format": _Place("restem.rewards.format:FormatJudge"),
    "judge": _Place("restem.rewards.judge:ModelJudge", ("httpx2",), "pip install httpx2"),
    "math": _Place("restem.rewards.math:MathJudge", ("mpmath", "math_verify"), "pip install mpmath math-verify"),
    "reward_model": _Place("restem.rewards.reward_model:ScoreJudge", ("transformers",), "pip install transformers"),
    "reasoning_gym": _Place(
        "restem.rewards.reasoning_gym:ReasoningGymJudge", ("reasoning_gym",), "pip install reasoning-gym"
    ),
}
COMPOSED = {"all_of": {"rewards"}, "weighted": {"rewards", "weights"}}  # the options that each needs


def load_reward(name: str, *, timeout_s: float = 5.0, workers: int = 2, **options: Any) -> Reward:
    """Return a reward. Its worker processes start with the first batch and end with `close()`, or the program.

    Args:
        name: A built-in reward, "all_of" or "weighted" others, or "my_pkg.my_module:my_reward": a function
            (question, completion) that returns a number in [0, 1] or a Verdict, or a subclass of Judge.
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
    if name == MAJORITY:
        of, min_share, own = majority.checked_options(options)
        place = _found(of)
        return MajorityReward(open_single(of, place.judge_path, own, timeout_s=timeout_s, workers=workers), min_share)
    found = _found(name)
    missing = [module for module in found.needs if find_spec(module) is None]
    if missing:
        raise RewardError(f"the reward {name!r} needs {', '.join(missing)}: {found.install}")
    return open_single(name, found.judge_path, {**found.given, **options}, timeout_s=timeout_s, workers=workers)


def deciding_reward_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a reward, and of its parts, that decide verdicts.

    Raises:
        RewardError: If there is no such reward.
    """
    if name in COMPOSED:
        parts = checked_parts(name, options.get("rewards"))
        return {**options, "rewards": {part: deciding_reward_options(part, of) for part, of in parts.items()}}
    if name == MAJORITY:
        of, min_share, inner = majority.checked_options(options)
        return {"of": of, "min_share": min_share, **deciding_reward_options(of, inner)}
    found = _found(name)
    if found.given:
        own = {option: value for option, value in options.items() if option != "reasoning"}
        return deciding_options(OwnJudge(**found.given, **own).declares, options)
    return deciding_options(judge_class(found.judge_path), options)


def opinions(names: Iterable[str], options: Mapping[str, Any]) -> dict[str, str]:
    """Return whose opinion verdicts are, of the rewards that check nothing; none is opened.

    Args:
        names: Of rewards.
        options: Their options by name, as in `scoring.options`.
    """
    found: dict[str, str | None] = {}
    for name in names:
        of_reward = options.get(name) or {}
        if name in COMPOSED:
            found[name] = "; ".join(opinions(of_reward["rewards"], of_reward["rewards"]).values())
        elif name == MAJORITY:
            found[name] = majority.OPINION
        else:
            found[name] = judge_class(_found(name).judge_path).opinion_of(of_reward)
    return {name: whose for name, whose in found.items() if whose}


def _found(name: str) -> _Place:
    """Return where a single reward is.

    Raises:
        RewardError: If there is none of that name.
    """
    if ":" in name:
        own: Any = import_function(name, parameter="the reward", error=RewardError)
        if isinstance(own, type) and issubclass(own, Judge):
            return _Place(name)
        return _Place("restem.rewards.own:OwnJudge", given={"path": name})
    if name not in _BUILT_IN:
        raise RewardError(
            f"there is no reward {name!r}; known are {', '.join(sorted([*_BUILT_IN, *COMPOSED, MAJORITY]))}, "
            "or 'my_pkg.my_module:my_reward' for a function or a judge of your own"
        )
    return _BUILT_IN[name]


def _composed(name: str, options: dict[str, Any], *, timeout_s: float, workers: int) -> Reward:
    if set(options) - COMPOSED[name]:
        raise RewardError(f"the reward {name!r} takes {' and '.join(sorted(COMPOSED[name]))}, got {sorted(options)}")
    of_parts = checked_parts(name, options.get("rewards"))
    weights = checked_weights(name, options.get("weights"), of_parts) if "weights" in COMPOSED[name] else None
    parts = {}
    for part, part_options in of_parts.items():
        if part == MAJORITY:
            raise RewardError(f"{name}.rewards.{part}: {MAJORITY} judges all samples of a question, and stands alone")
        try:
            parts[part] = load_reward(part, timeout_s=timeout_s, workers=workers, **part_options)
        except RewardError as error:
            raise RewardError(f"{name}.rewards.{part}: {error}") from error
    return ComposedReward(name, parts, weights)

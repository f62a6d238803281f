"""Rewards: checkable verdicts on completions that cannot hang the run.

reward = load_reward("math", timeout_s=5, workers=2)
verdicts = reward.score(questions, completions)
"""

from restem.rewards.base import Judge
from restem.rewards.gold_check import check_golds
from restem.rewards.loading import deciding_reward_options, load_reward, opinions
from restem.rewards.scoring import Reward
from restem.rewards.verdicts import Answer, Verdict, correct, refused

__all__ = [
    "Answer",
    "Judge",
    "Reward",
    "Verdict",
    "check_golds",
    "correct",
    "deciding_reward_options",
    "load_reward",
    "opinions",
    "refused",
]

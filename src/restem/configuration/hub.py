"""Whether the Hugging Face hub is asked for anything; where it is not, its libraries stay offline."""

import os

from restem import questions
from restem.parameters import Parameters
from restem.policies.base_models import is_hub_id

_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def asks_the_hub(parameters: Parameters) -> bool:
    """Return whether the base model, the teacher or questions are to come from the Hugging Face hub."""
    models = filter(None, [parameters.policy.model, parameters.policy.teacher])
    return any(map(is_hub_id, models)) or questions.asks_the_hub(parameters.questions)


def go_online() -> None:
    """Let the hub libraries ask the hub, whatever the parameters say; a setting of the user's own stays."""
    for variable in _OFFLINE:
        os.environ.setdefault(variable, "0")


def stay_offline(parameters: Parameters) -> None:
    """Keep the hub libraries offline, unless they are to be asked."""
    offline = "0" if asks_the_hub(parameters) else "1"
    for variable in _OFFLINE:
        os.environ.setdefault(variable, offline)

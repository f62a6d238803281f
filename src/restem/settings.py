"""Project settings. See https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os
import warnings

# Nothing calls out at run time unless a hub id or a tracking server is asked for; libraries read these on import.
for _variable in ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_variable, "1")

# Of libraries whose texts have odd backslashes, at their first import: nothing that a user could mend.
warnings.filterwarnings("ignore", category=SyntaxWarning)
# Of omegaconf 2.4, at what Kedro calls.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)

from restem.ending import end_when_told  # noqa: E402 - after the variables

end_when_told()  # before what takes a while to import

from restem.configuration.loader import MethodConfigLoader  # noqa: E402 - after the variables
from restem.display import DisplayHooks  # noqa: E402 - after the variables
from restem.hooks import ExperimentHooks, RetentionHooks  # noqa: E402 - after the variables
from restem.masking import mask_all_messages  # noqa: E402 - after the variables
from restem.run_status import DatasetStatsHook, RunStatusHooks  # noqa: E402 - after the variables
from restem.session import ExperimentSession  # noqa: E402 - after the variables
from restem.tracking_hooks import TrackingHooks  # noqa: E402 - after the variables

mask_all_messages()

_experiment = ExperimentHooks()  # it checks the parameters, once for all of them
# Kedro calls the last one first.
HOOKS = (
    DatasetStatsHook(),
    RunStatusHooks(_experiment),
    DisplayHooks(_experiment),
    TrackingHooks(_experiment),
    RetentionHooks(_experiment),
    _experiment,
)
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-viz",)  # those of restem.run_status stand in for them

SESSION_CLASS = ExperimentSession
CONFIG_LOADER_CLASS = MethodConfigLoader
CONFIG_LOADER_ARGS = {
    "config_patterns": {"methods": ["methods*"]},
    "base_env": "base",
    "default_run_env": "local",
    # An environment or --params changes single parameters, not whole groups.
    "merge_strategy": {"parameters": "soft"},
}

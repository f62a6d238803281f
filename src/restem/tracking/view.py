"""How the list of runs and the charts look in MLflow's UI: a shared view, as its button "Views" saves one.

The UI keeps what it shows in the browser, and begins with no metric among its columns and charts in the order of the
alphabet. A shared view is a tag of the experiment, and is opened by an address that names it.
"""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

VIEW = "restem"  # its name in an address: ...&viewStateShareKey=restem
_TAG = f"mlflow.sharedViewState.{VIEW}"
_COLUMNS = (
    "metrics.`iteration`",
    "metrics.`test/pass_at_1`",
    "metrics.`validation/pass_at_1`",
    "metrics.`train/pass_at_1`",
    "metrics.`scoring/acceptance`",
    "attributes.`Duration`",
    "attributes.`Models`",
    "attributes.`Dataset`",
)
_CHARTS_FIRST = ("test", "validation", "train", "training_curve", "live/sampling", "live/scoring", "scoring")


def ensure_view(client: "MlflowClient", experiment_id: str) -> None:
    """Give the experiment its view, unless it has one of this name: users may have changed it."""
    if _TAG not in client.get_experiment(experiment_id).tags:
        client.set_experiment_tag(experiment_id, _TAG, json.dumps(_state()))


def _state() -> dict[str, Any]:
    """Return what the UI calls its state, all that it asks of one; what is not named here is added by itself."""
    sections = [
        {"uuid": f"{VIEW}-{name}", "name": name, "display": True, "isReordered": False, "isGenerated": True}
        for name in _CHARTS_FIRST
    ]
    return {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(_COLUMNS),
        "compareRunCharts": [],
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }

"""Policies as logged models of MLflow: what a policy is and how it did; its weights stay where they are."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from restem.policies.policy import Policy
from restem.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

_FORBIDDEN = re.compile(r"[/:.%\"']")  # in a logged model's name
_PAGE = 100


class PolicyCard(NamedTuple):
    """What is said of a policy as a logged model."""

    policy: Policy
    experiment: str
    tags: Mapping[str, str]  # of its run, too
    read: list[str]  # logged models that it was sampled from and trained from


def create_model(client: "MlflowClient", run: str, card: PolicyCard) -> str:
    """Return the id of the logged model that is made of a policy, an output of the run; of one that has it already."""
    from mlflow.entities import LoggedModelInput, LoggedModelOutput
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_IS_EXTERNAL

    found = client.get_run(run)
    if tags.MODEL in found.data.tags:
        return str(found.data.tags[tags.MODEL])
    experiment_id = found.info.experiment_id
    supersede_models(client, run, experiment_id=experiment_id)  # what was cut short in here
    model = client.create_logged_model(
        experiment_id,
        name=_FORBIDDEN.sub("_", f"{card.experiment}-policy_{card.policy.iteration}"),
        source_run_id=run,
        tags={**card.tags, MLFLOW_MODEL_IS_EXTERNAL: "true"},
        # What it was made with are the parameters of its run.
        params={key: str(value) for key, value in card.policy.to_dict().items() if key != "made_with"},
        model_type="policy",
    )
    _describe(client, model)
    client.log_inputs(run, models=[LoggedModelInput(model_id) for model_id in card.read])
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=card.policy.iteration)])
    client.set_tag(run, tags.MODEL, model.model_id)
    return str(model.model_id)


def finish_model(client: "MlflowClient", model_id: str) -> None:
    """Mark the model as ready: all that is to be said of it has been logged."""
    client.finalize_logged_model(model_id, "READY")


def supersede_models(client: "MlflowClient", run: str, *, experiment_id: str) -> None:
    """Mark the models of a run that was superseded; one that was cut short will never be ready."""
    from mlflow.entities import LoggedModelStatus

    logged = client.search_logged_models([experiment_id], f"source_run_id = '{run}'", max_results=_PAGE)
    for model in logged:
        client.set_logged_model_tags(model.model_id, {tags.SUPERSEDED: "true"})
        if model.status == LoggedModelStatus.PENDING:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)


def _describe(client: "MlflowClient", model: "LoggedModel") -> None:
    """Log the file without which MLflow refuses to register a model, though its weights are elsewhere."""
    from mlflow.models.model import MLMODEL_FILE_NAME
    from mlflow.models.utils import get_external_mlflow_model_spec

    with tempfile.TemporaryDirectory() as folder:
        get_external_mlflow_model_spec(model).save(Path(folder) / MLMODEL_FILE_NAME)
        client.log_model_artifacts(model.model_id, folder)

"""The page about a study in MLflow: a run beside those of its experiments."""

from collections.abc import Mapping
from pathlib import Path

from restem import suggestions
from restem.parameters import Parameters
from restem.tracking import tags
from restem.tracking.destination import reaching
from restem.tracking.runs import experiment_id


def log_study(pages: Mapping[str, str], name: str, parameters: Parameters, *, project: Path) -> None:
    """Log the pages about a study, in place of those logged before.

    Args:
        pages: By file name.
        name: Of the study.
        parameters: Of one of its experiments, for the MLflow experiment.
        project: The project's folder, for its own store.

    Raises:
        TrackingError: If MLflow cannot be reached.
    """
    from mlflow import MlflowClient

    with reaching(parameters, project, later=suggestions.restem("study", "report", name, of="study")) as where:
        client = MlflowClient(tracking_uri=where.uri)
        holder = experiment_id(client, parameters.tracking.mlflow_experiment, where.artifacts)
        query = f"tags.`{tags.KIND}` = 'study' AND tags.`{tags.STUDY}` = '{name}'"
        runs = client.search_runs([holder], query)
        named = {tags.KIND: "study", tags.STUDY: name}
        run = runs[0] if runs else client.create_run(holder, tags=named, run_name=f"study {name}")
        for file, text in pages.items():
            client.log_text(run.info.run_id, text, file)
        client.set_terminated(run.info.run_id)

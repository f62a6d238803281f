"""What an iteration read, as dataset inputs of its MLflow run: the questions of each suite, and its training set."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.experiment import Catalog
from restem.project import load_path
from restem.store.fingerprints import fingerprint
from restem.store.tables import ShardedTable, Table

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_COLUMN_TYPES = {"i": "long", "f": "double", "b": "boolean"}  # of MLflow, by the kind of a NumPy type; others are text


class DatasetName(NamedTuple):
    """How MLflow tells datasets apart."""

    name: str
    digest: str


class Inputs(NamedTuple):
    """The datasets of a run."""

    logged: "list[DatasetInput]"
    by_suite: dict[str, DatasetName]  # those that metrics were measured on


def dataset_inputs(catalog: Catalog, record: dict[str, Any]) -> Inputs:
    """Return what the iteration of the record was measured on and learned from."""
    i = record["iteration"]
    questions, evaluation = catalog.load("questions"), catalog.load(f"evaluation_{i}")
    logged, by_suite = [], {}
    if i > 0:
        rows: ShardedTable = catalog.load(f"iteration_{i}.training_set")
        named = DatasetName("training_set", record["training"]["training_set_digest"])
        place = newest_version(catalog, f"iteration_{i}.training_set")
        logged.append(_input(named, rows.head(1), len(rows), place, context="training"))
    for suite, question_ids in evaluation.groupby("suite")["question_id"]:
        ids = sorted(set(question_ids))
        named = DatasetName(str(suite), fingerprint([record["questions_digest"], suite, ids]))
        by_suite[named.name] = named
        place = newest_version(catalog, "questions")
        logged.append(_input(named, questions.head(1), len(ids), place, context="evaluation"))
    return Inputs(logged, by_suite)


def newest_version(catalog: Catalog, name: str) -> Path:
    """Return the file or folder of a dataset's newest version."""
    return Path(load_path(catalog, name))


def _input(named: DatasetName, example: Table, n_rows: int, place: Path, *, context: str) -> "DatasetInput":
    """Return what MLflow keeps of a dataset; `mlflow.data` would want all rows in memory."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [
        {"name": str(name), "type": _COLUMN_TYPES.get(dtype.kind, "string"), "required": True}
        for name, dtype in example.dtypes.items()
    ]
    dataset = Dataset(
        name=named.name,
        digest=named.digest,
        source_type="local",
        source=json.dumps({"uri": str(place)}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": n_rows, "num_elements": n_rows * len(columns)}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])

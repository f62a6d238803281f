"""All that decides a training, in memory or as a folder that other processes read.

The folder holds `request.json` and the tables as Parquet files.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from restem import suggestions
from restem.parameters import ScoringParameters, TrainingParameters
from restem.policies.policy import Policy
from restem.sampling.sampler import Decoding, Draw, EngineChoice
from restem.spending import spending
from restem.store.tables import Table
from restem.training.validation import Validation

_FILE = "request.json"
# What the processes of a training leave in the folder, or say.
RESULT = "result.json"
FAILURE = "failure-"
LOG_MARK = "restem"  # begins a line that is to be logged: restem|LEVEL|message
SPENT_MARK = "restem-spent"  # begins one that says what was taken: restem-spent|JSON of spending.Account
LIVE_MARK = "restem-live"  # begins one that is to be shown while it holds: restem-live|title|state
READING_MARK = "restem-reading"  # begins one that holds numbers, as JSON; see restem.live


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What `restem.training.train` is asked for; its fields are explained there."""

    rows: Table
    base_policy: Policy
    parameters: TrainingParameters
    output: Path
    add_special_tokens: bool
    validation: Validation | None
    unfinished: Path | None


class TrainingResult(NamedTuple):
    """A finished training."""

    folder: Path  # of the policy
    log: list[dict[str, float]]  # per optimizer step: step, epoch, loss, learning_rate, grad_norm, n_tokens_*, and
    #                              where they were measured validation_reward and validation_loss
    best_step: int  # whose weights these are
    dtype: str  # of the arithmetic: float32 or bfloat16
    device: str  # cpu or cuda
    notes: list[str]  # what was done otherwise than usual, and why


def write_request(request: TrainingRequest, folder: Path) -> None:
    """Write the request into a folder, which exists."""
    validation = request.validation
    tables = {"rows": request.rows}
    if validation is not None:
        tables |= {
            "questions": validation.questions,
            "prompts": validation.draw.prompts,
            "solutions": validation.solutions,
        }
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    content = {
        "base_policy": request.base_policy.to_dict(),
        "parameters": asdict(request.parameters),
        "output": str(request.output.absolute()),
        "add_special_tokens": request.add_special_tokens,
        "validation": None if validation is None else _plain(validation),
        "unfinished": None if request.unfinished is None else str(request.unfinished.absolute()),
        "asked": suggestions.asked()._asdict(),
        "spending": spending.share(),
    }
    (folder / _FILE).write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")


def read_request(folder: Path) -> TrainingRequest:
    """Return the request that was written."""
    import pandas as pd

    content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return TrainingRequest(
        rows=pd.read_parquet(folder / "rows.parquet"),
        base_policy=Policy(**content["base_policy"]),
        parameters=TrainingParameters(**content["parameters"]),
        output=Path(content["output"]),
        add_special_tokens=content["add_special_tokens"],
        validation=None if content["validation"] is None else _validation(content["validation"], folder),
        unfinished=None if content["unfinished"] is None else Path(content["unfinished"]),
    )


def asked_in(folder: Path) -> suggestions.Asked:
    """Return how the session that wrote a request was asked for."""
    asked = json.loads((folder / _FILE).read_text(encoding="utf-8"))["asked"]
    lists = {name: tuple(asked[name]) for name in ("pipelines", "selection")}
    return suggestions.Asked(**{**asked, **lists})


def spending_in(folder: Path) -> dict[str, Any]:
    """Return what the experiment of a written request took before, and may take."""
    shared: dict[str, Any] = json.loads((folder / _FILE).read_text(encoding="utf-8"))["spending"]
    return shared


def _plain(validation: Validation) -> dict[str, Any]:
    draw = validation.draw
    return {
        "decoding": draw.decoding.deciding(),
        "purpose": draw.purpose,
        "iteration": draw.iteration,
        "choice": validation.choice._asdict(),
        "scoring": asdict(validation.scoring),
    }


def _validation(content: dict[str, Any], folder: Path) -> Validation:
    import pandas as pd

    return Validation(
        questions=pd.read_parquet(folder / "questions.parquet"),
        draw=Draw(
            prompts=pd.read_parquet(folder / "prompts.parquet"),
            decoding=Decoding.read(content["decoding"]),
            purpose=content["purpose"],
            iteration=content["iteration"],
        ),
        choice=EngineChoice(**content["choice"]),
        scoring=ScoringParameters(**content["scoring"]),
        solutions=pd.read_parquet(folder / "solutions.parquet"),
    )

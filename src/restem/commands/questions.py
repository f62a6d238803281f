"""`restem questions`: a first look at a data set, before anything is asked of a policy."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.configuration.hub import go_online
from restem.errors import ExperimentError, PromptError, first_few
from restem.parameters import Parameters

if TYPE_CHECKING:
    from restem.scoring.first_look import Look
    from restem.store.journal import Journal

_HUB_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_FILES = (".jsonl", ".json", ".csv", ".parquet", ".gz")
_LONGEST = 2000  # characters of a prompt that are shown
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][\w-]*")


@click.command("questions")
@click.argument("data_set")
@of_experiment
@click.option("--configuration", help="Of a data set of the hub that has several.")
@click.option("--streaming", is_flag=True, help="Of a large data set of the hub: read its first rows alone.")
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="As text=problem; repeatable.")
@click.option("--extract", help="Where in the gold the answer stands: boxed, hashes, or a regular expression.")
@click.option("--reward", help="What judges the questions; guessed if not said.")
@click.option("--write", metavar="ENV", help="Write the YAML as conf/ENV/parameters.yml, to run with --env ENV.")
def questions(  # noqa: PLR0913 - one argument per option
    where: Where,
    data_set: str,
    configuration: str | None,
    streaming: bool,
    columns: tuple[str, ...],
    extract: str | None,
    reward: str | None,
    write: str | None,
) -> None:
    """Look at a DATA_SET of files, or of the hub.

    It is a file, folder, glob or URL, or OWNER/NAME or OWNER/NAME@REVISION of the Hugging Face hub. What is shown: rows
    and columns, what they are likely to be, how many golds the reward can judge, and the first prompts with their
    lengths. What is guessed is used by nobody until it stands in a configuration.
    """
    source, options = _source_of(data_set)
    if source == "hub":
        go_online()
    said: dict[str, Any] = {"configuration": configuration, "streaming": streaming, "extract": _extract(extract)}
    said |= {"columns": dict(map(_column, columns)), "reward": reward}
    options |= {name: value for name, value in said.items() if value}

    from restem.questions.guesses import as_yaml
    from restem.scoring.first_look import look_at

    with where.open() as (catalog, parameters, project):
        target = _target(write, Path(where.conf_source or project / "conf")) if write else None
        look = look_at(source, options, parameters.questions)
        _say(_columns(look, data_set))
        _say(_golds(look, parameters))
        _say(_prompts(look, parameters, catalog.load("base_models")))
    text = as_yaml(look.yaml(), depth=2)
    click.echo(f"\nlikely, in conf/ENV/parameters.yml:\n{text}")
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{text}\n", encoding="utf-8")
        suggestions.use(suggestions.asked()._replace(env=write, params={}))
        click.echo(f"\nwritten: {target}; next: {suggestions.run('prepare')}")


def _source_of(data_set: str) -> tuple[str, dict[str, Any]]:
    """Return file or hub, and the option that names the data set; what is here is not looked for there."""
    hub_id = _HUB_ID.fullmatch(data_set)
    if hub_id is None or Path(data_set).exists() or data_set.endswith(_FILES):
        return "file", {"path": data_set}
    revision = {"revision": hub_id["revision"]} if hub_id["revision"] else {}
    return "hub", {"dataset": hub_id["name"], **revision}


def _column(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not (field and equals and column):
        raise click.BadParameter(f"must be FIELD=COLUMN, as text=problem, got {text!r}", param_hint="--column")
    return field, column


def _extract(option: str | None) -> str | dict[str, str] | None:
    return option if option in ("boxed", "hashes", None) else {"pattern": option}


def _target(environment: str, conf: Path) -> Path:
    """Return the file to write.

    Raises:
        ExperimentError: If it is there already, or could not be named with --env.
    """
    if not _ENVIRONMENT.fullmatch(environment) or environment == "base":
        raise ExperimentError(f"--write must be the name of an environment of your own, as mine, got {environment!r}")
    target = conf / environment / "parameters.yml"
    if target.exists():
        raise ExperimentError(f"--write={environment}: {target} is there already; choose another name, or edit it")
    return target


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(line)


def _columns(look: "Look", name: str) -> Iterator[str]:
    splits = {split or "in one piece": len(of_split) for split, of_split in look.records.items()}
    yield f"{name}: {sum(splits.values()):,} rows ({', '.join(f'{split}: {n:,}' for split, n in splits.items())})"
    width = max(len(column.path) for column in look.columns)
    for column in look.columns:
        yield f"  {column.path:<{width}}  {column.kind:<14} filled {column.filled:>4.0%}  {column.example}"


def _golds(look: "Look", parameters: Parameters) -> Iterator[str]:
    from restem.scoring.first_look import unjudgeable

    n, table = unjudgeable(look, parameters)
    faults: list[Any] = table.to_dict("records")
    rewards = ", ".join(sorted(set(look.questions["reward"])))
    of_all = "" if n == len(look.questions) else f", the first of {len(look.questions):,}"
    yield f"golds that {rewards} can judge: {n - len(faults):,} of {n:,}{of_all}"
    if faults:
        texts: Mapping[str, str] = dict(zip(look.questions["question_id"], look.questions["text"], strict=True))
        shown = (f"{texts[fault['question_id']][:60]!r}: {fault['reason']}" for fault in faults)
        yield f"  not {first_few(shown, separator='; ')}"


def _prompts(look: "Look", parameters: Parameters, store: "Journal") -> Iterator[str]:
    from restem.policies.base_models import prepare_base_model
    from restem.scoring.first_look import first_prompts

    policy = prepare_base_model(parameters.policy.model, store=store)
    try:
        prompts = first_prompts(look, policy, parameters.prompt)
    except PromptError as error:  # which a run would stop with, and which the mapping has no part in
        yield f"\nno prompts: {error.message}"
        return
    for number, (text, n_tokens) in enumerate(prompts, start=1):
        cut = len(text) - _LONGEST
        shown = text if cut <= 0 else f"{text[: _LONGEST // 2]}\n[... {cut:,} characters ...]\n{text[-_LONGEST // 2 :]}"
        yield f"\nprompt {number} of {len(prompts)}, {n_tokens:,} tokens of {policy.name}:\n{shown}"

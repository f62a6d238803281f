"""`restem trace`: the whole way of a question or a sample through an experiment."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.schemas import FROM_FILE
from restem.store.tables import Table

if TYPE_CHECKING:
    from restem.lineage import Origin, Step

_SHOWN_CHARACTERS = 100


@click.command()
@click.argument("name", metavar="ID")
@of_experiment
@click.option("--samples", is_flag=True, help="Every sample, not only counts and what was learned from.")
@click.option("--full", is_flag=True, help="Prompt and completions whole, not their beginning.")
def trace(name: str, where: Where, *, samples: bool, full: bool) -> None:
    """Follow a question or a sample through all iterations.

    ID is QUESTION, or QUESTION:INDEX for a sample, or QUESTION:INDEX@POLICY for that of one policy (policy_1, or its
    fingerprint). A training row has the id of its sample. Ids may be cut short where that names one.
    """
    from restem.lineage import find, origin, steps

    with where.open() as (catalog, _parameters, _project):
        wanted = find(catalog, name)
        click.echo("\n".join(_origin(origin(catalog, wanted), full=full)))
        singly = samples or wanted.sample_index is not None
        for step in steps(catalog, wanted):
            click.echo("\n".join(_step(step, singly=singly, full=full)))
    click.echo(f"in a browser: {suggestions.restem('view', '--question', wanted.question_id)}")


def _origin(origin: "Origin", *, full: bool) -> Iterator[str]:
    question = origin.question
    facts = [question["split"], question["level"], question["source"], f"reward {question['reward']}"]
    yield f"question {question['question_id']}: {', '.join(dict.fromkeys(filter(None, facts)))}"
    yield f"  text    {_shown(question['text'], full=full)}"
    yield f"  gold    {_shown(question['gold'], full=full)}"
    if origin.prompt is not None:
        yield f"  prompt  {origin.prompt_id}: {_shown(origin.prompt, full=full, end=True)}"
    if origin.left_out:
        yield f"  never asked: {origin.left_out}"


def _step(step: "Step", *, singly: bool, full: bool) -> Iterator[str]:
    i = step.iteration
    yield f"iteration {i}"
    if len(step.samples):
        how = "read from files, written by" if (step.samples["decoding"] == FROM_FILE).all() else "drawn from policy"
        yield f"  E-step: {_counts(step.samples)} {how} {_ids(step.samples)}"
        yield from _rows(step.samples, full=full) if singly else ()
    for row in step.learned.to_dict("records"):
        yield f"  M-step: learned {_name(row)}, weight {row['weight']:g}: {_shown(row['completion'], full=full)}"
    if step.policy is not None:
        yield f"  policy_{i} {_made(step)}"
    for row in step.evaluation.to_dict("records"):
        greedy = "right" if row["greedy_correct"] else "wrong"
        yield f"  evaluation {row['suite']}: greedy {greedy}, {row['n_correct']} of {row['n']} samples right"
    if singly:
        yield from _rows(step.answers, full=full)
    if step.entries:
        yield f"  journal: {', '.join(step.entries)}"


def _made(step: "Step") -> str:
    policy = step.policy
    if policy is None or policy.parent is None:
        return f"{policy.fingerprint if policy else ''}: the base policy"
    start = "the base policy" if policy.trained_from == policy.base else f"policy {policy.trained_from}"
    learned = "which learned from this" if len(step.learned) else "which learned nothing from this"
    return f"{policy.fingerprint}: trained from {start}, {learned}"


def _rows(table: Table, *, full: bool) -> Iterator[str]:
    for row in table.to_dict("records"):
        verdict = f"{row['reason']} ({row['reward']:g})" if "reason" in row else "not judged yet"
        origin = f" ({row['origin']})" if row["decoding"] == FROM_FILE else ""
        text = _shown(row["completion"], full=full)
        yield f"    {_name(row)} {row['suite']} {row['decoding']}{origin}: {verdict}: {text}"


def _counts(samples: Table) -> str:
    if "reason" not in samples.columns:
        return f"{len(samples)} samples, not judged yet,"
    by_reason = samples["reason"].value_counts().sort_index()
    return f"{len(samples)} samples ({', '.join(f'{n} {reason}' for reason, n in by_reason.items())})"


def _ids(samples: Table) -> str:
    return ", ".join(sorted(set(samples["policy_id"])))


def _name(row: Mapping[Any, Any]) -> str:
    """Return the id of a sample, which restem trace takes."""
    return f"{row['question_id']}:{row['sample_index']}@{row['policy_id']}"


def _shown(text: str, *, full: bool, end: bool = False) -> str:
    """Return a text on one line, cut to what fits unless it is asked for whole."""
    line = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    if full or len(line) <= _SHOWN_CHARACTERS:
        return line if line else "(empty)"
    return f"... {line[-_SHOWN_CHARACTERS:]}" if end else f"{line[:_SHOWN_CHARACTERS]} ..."

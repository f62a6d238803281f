"""`restem inspect` and `restem audit`: what a reward said, and whether it can be believed."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from restem.commands.options import Where, of_experiment
from restem.errors import RewardError
from restem.evaluation.intervals import in_text
from restem.schemas import CORRECT, REASONS

if TYPE_CHECKING:
    from restem.experiment import Catalog
    from restem.store.tables import ShardedTable

iteration_option = click.option(
    "--iteration", type=click.IntRange(min=1), help="The last that was scored, if not said."
)


@click.command("inspect")
@of_experiment
@iteration_option
@click.option("--accepted", default=3, show_default=True, help="Samples with a reward of 1 to show.")
@click.option("--rejected", default=3, show_default=True, help="Other samples to show.")
@click.option("--reason", type=click.Choice(REASONS), help="Only verdicts with this reason.")
@click.option("--seed", default=0, show_default=True, help="Another seed shows other samples.")
@click.option("--doubtful", is_flag=True, help="First those accepted ones that a second verifier refuses.")
def inspect(  # noqa: PLR0913 - one argument per option
    where: Where,
    iteration: int | None,
    accepted: int,
    rejected: int,
    reason: str | None,
    seed: int,
    doubtful: bool,
) -> None:
    """Show a few random samples with their verdicts.

    Each with its question, its answer, and how that was found. They are of one iteration.
    """
    from restem.scoring.inspection import doubts_of, format_sample, samples_to_read

    with where.open() as (catalog, parameters, _):
        i, scored = _scored(catalog, parameters.em.iterations, iteration)
        doubts = doubts_of(catalog.load(f"iteration_{i}.reward_audit")) if doubtful else {}
        rows = samples_to_read(
            scored,
            catalog.load("questions"),
            n_accepted=accepted,
            n_rejected=rejected,
            reason=reason,
            seed=seed,
            doubtful=doubts,
        )
    click.echo(f"experiment {parameters.experiment}, iteration {i}: {len(rows)} of {len(scored)} samples")
    if doubtful:
        click.echo(f"a second verifier refuses {len(doubts)} of the accepted ones that it looked at")
    for row in rows:
        click.echo(f"\n{'ACCEPTED' if row['reward'] >= CORRECT else 'REJECTED'} {format_sample(row)}")


@click.command()
@of_experiment
@iteration_option
@click.option("--reward", help="The reward to audit, as questions name it; all that they name, if not said.")
@click.option("--samples", type=click.IntRange(min=0), help="Accepted samples to look at; scoring.audit.n_samples.")
@click.option("--questions", "n_questions", type=click.IntRange(min=0), help="Golds to try; scoring.audit.n_questions.")
@click.option("--seed", default=0, show_default=True, help="Another seed looks at other samples and questions.")
def audit(  # noqa: PLR0913 - one argument per option
    where: Where,
    iteration: int | None,
    reward: str | None,
    samples: int | None,
    n_questions: int | None,
    seed: int,
) -> None:
    """Audit rewards by known cases, golds and a second verifier.

    The golds are those of an experiment, and the second verifier judges samples that it accepted. The exit code is 1
    if a known case or a gold failed.
    """
    from restem.scoring.audit import audit_rewards, summarise_audit
    from restem.scoring.marks import summarise_marks

    with where.open() as (catalog, parameters, _):
        chosen = {name: n for name, n in (("n_samples", samples), ("n_questions", n_questions)) if n is not None}
        scoring = replace(parameters.scoring, audit=replace(parameters.scoring.audit, **chosen))
        judged = catalog.load("questions")
        named = sorted(set(judged["reward"]))
        judged = judged if reward is None else judged[judged["reward"] == reward]
        if judged.empty:
            raise RewardError(_unknown(reward, named, parameters.experiment))
        scored = None
        if iteration is not None or _last_scored(catalog, parameters.em.iterations) is not None:
            i, scored = _scored(catalog, parameters.em.iterations, iteration)
            click.echo(f"experiment {parameters.experiment}, iteration {i}")
        table = audit_rewards(scored, judged, parameters=scoring, seed=seed)
        readers = summarise_marks(catalog.load("marks"))
    summary = summarise_audit(table)
    click.echo("\n".join([_as_text(summary), *(_of_readers(marked, said) for marked, said in readers.items())]))
    rows: list[Any] = table[table["agrees"] == "no"].to_dict("records")
    for row in rows:
        where = row["question_id"] + (f", sample {row['sample_index']}" if row["sample_index"] >= 0 else "")
        click.echo(f"  {row['check']}, {row['reward']}, {where}: {row['found']}")
    if summary["golden_failed"] or summary["canaries_failed"]:
        raise click.exceptions.Exit(1)


def _unknown(reward: str | None, named: list[str], experiment: str) -> str:
    return (
        f"no question of experiment {experiment} is judged by the reward {reward!r}; they are "
        f"judged by {', '.join(named)}"
    )


def _as_text(summary: dict[str, Any]) -> str:
    lines = [
        f"known cases that failed: {summary['golden_failed']} of {summary['golden_cases']}",
        f"golds that failed: {summary['canaries_failed']} of {summary['canaries']}",
    ]
    if summary["n_checked"]:
        interval = in_text(summary["false_positive_rate"], summary["low"], summary["high"])
        refused = f"{summary['n_disagreed']} of {summary['n_checked']}"
        lines.append(f"accepted samples that a second verifier refuses: {refused}, false-positive rate {interval}")
    else:
        lines.append("accepted samples that a second verifier refuses: none were looked at")
    if summary["n_unchecked"]:
        lines.append(f"accepted samples of which it cannot say: {summary['n_unchecked']}")
    lines += [f"{name} has no second verifier: {why}" for name, why in summary["not_audited"].items()]
    return "\n".join(lines)


def _of_readers(iteration: int, said: dict[str, Any]) -> str:
    """Return what readers said of the verdicts of an iteration."""
    parts = []
    for name, shown in (
        ("wrong_among_accepted", ("accepted", "called wrong", "accepted_wrong", "accepted_right")),
        ("right_among_rejected", ("rejected", "called right", "rejected_right", "rejected_wrong")),
    ):
        verdict, called, n, others = shown
        share = said[name]
        if share is not None:
            rate = in_text(share["value"], share["low"], share["high"])
            parts.append(f"{verdict} ones {called}: {said[n]} of {said[n] + said[others]}, {rate}")
    by = f"{said['n_readers']} reader{'s' if said['n_readers'] > 1 else ''}"
    marked = f"iteration {iteration}, marked by {by}: {said['n_samples']} samples"
    return "; ".join([marked, *parts, f"doubtful: {said['n_doubtful']}"])


def _scored(catalog: "Catalog", iterations: int, iteration: int | None) -> "tuple[int, ShardedTable]":
    i = iteration or _last_scored(catalog, iterations) or 1
    return i, catalog.load(f"iteration_{i}.scored_samples")


def _last_scored(catalog: "Catalog", iterations: int) -> int | None:
    done = [i for i in range(1, iterations + 1) if catalog.exists(f"iteration_{i}.scored_samples")]
    return max(done, default=None)

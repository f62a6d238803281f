"""`restem migrate`: an experiment of an older restem, brought up to date from what it kept."""

from itertools import count, takewhile

import click

from restem.commands.project import environment, experiment_option, opened
from restem.errors import ExperimentError
from restem.experiment import Catalog


@click.command()
@environment
@experiment_option
def migrate(env: str | None, experiment: str | None) -> None:
    """Count what an older restem did not count, from the samples that it kept; nothing is drawn or trained again."""
    with opened(env, experiment) as (catalog, parameters, _):
        made = list(takewhile(lambda i: catalog.exists(f"record_{i}"), count()))
        if not made:
            raise ExperimentError(
                f"experiment {parameters.experiment!r} has nothing to migrate: no policy has been measured yet"
            )
        changed = [i for i in made if _migrate(catalog, i)]
    named = ", ".join(f"iteration {i}" for i in changed) or "nothing: it is up to date"
    click.echo(f"migrated of experiment {parameters.experiment}: {named}")


def _migrate(catalog: Catalog, i: int) -> bool:
    """Return whether an iteration lacked something, which it now has."""
    from restem.changes import greedy_answers
    from restem.metrics import evaluate_policy

    evaluation, answers = catalog.load(f"evaluation_{i}"), f"greedy_answers_{i}"
    uncounted = bool(evaluation[["mean_reward", "n_distinct_correct"]].isna().any(axis=None))
    if catalog.exists(answers) and not uncounted:
        return False
    name = f"iteration_{i}.scored_evaluation_samples"
    if not catalog.exists(name):
        raise ExperimentError(
            f"iteration {i} was made by an older restem, and {name}, from which the rest could be counted, is gone; "
            f"measure it again: kedro run --pipeline=iteration_{i}"
        )
    scored = catalog.load(name)
    if not catalog.exists(answers):
        catalog.save(answers, greedy_answers(scored))
    if uncounted:
        decoding = dict(zip(evaluation["suite"], evaluation["decoding"], strict=True))
        catalog.save(f"evaluation_{i}", evaluate_policy(scored, catalog.load("questions"), decoding=decoding))
    return True

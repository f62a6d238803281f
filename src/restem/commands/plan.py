"""`restem plan`: what an experiment will take, before it is run."""

from collections.abc import Iterator, Sequence

import click

from restem.commands.options import Where, of_experiment
from restem.parameters import LimitsParameters
from restem.spending import Measure, measures, measures_of, shown
from restem.store.ledger import Account, Ledger, ledger_file


@click.command()
@of_experiment
@click.option("--measure/--no-measure", default=True, help="Sample and train for a minute at most, to know the time.")
def plan(where: Where, *, measure: bool) -> None:
    """Show what an experiment will take: time, disk, memory.

    Samples and tokens too. Its questions must be prepared. Nothing is written; what is done already is counted too.
    """
    from restem.planning.cost import count_prompt_tokens, model_size
    from restem.planning.measured_sample import measure as measured
    from restem.planning.planner import disk_and_memory, expected_account, plan_rows, workload
    from restem.reporting.results import aligned
    from restem.sampling.styles import adds_special_tokens

    with where.open() as (catalog, parameters, _):
        questions, prompts, policy = (catalog.load(name) for name in ("questions", "prompts", "policy_0"))
        taken = measures_of(Ledger(ledger_file(catalog.load("journal").root, parameters.experiment)), parameters.limits)
    work = workload(questions, prompts, parameters)
    speed = measured(questions, prompts, policy, parameters) if measure else None
    click.echo(
        f"experiment {parameters.experiment}: {work.n_iterations} iterations of {work.n_questions} questions, "
        f"{len(questions)} questions in all, policy {policy.name}"
    )
    stages = plan_rows(work, speed)
    for line in aligned(["stage", "samples or rows, at most", "tokens, at most", "tokens, expected", "time"], stages):
        click.echo(line)
    click.echo()
    for line in aligned(["", "MB", ""], disk_and_memory(work, model_size(policy.folder), parameters, speed)):
        click.echo(line)
    click.echo()
    if speed is None:
        click.echo("Times need a measured sample: leave out --no-measure.")
    else:
        click.echo(
            f"Measured: {speed.sampled_per_second:,.0f} tokens/s sampled, {speed.verdicts_per_second:,.0f} verdicts/s, "
            f"{speed.trained_per_second:,.0f} tokens/s trained; {speed.tokens_per_sample:.1f} tokens per sample, "
            f"{speed.acceptance:.1%} of them correct (the base policy). Validation during training is not in it."
        )
        add_special_tokens = adds_special_tokens(parameters.prompt)
        length = count_prompt_tokens(prompts["prompt"].to_list(), policy, add_special_tokens=add_special_tokens)
        for line in _against_budget(expected_account(work, speed, prompt_tokens=length), taken, parameters.limits):
            click.echo(line)


def _against_budget(expected: Account, taken: Sequence[Measure], limits: LimitsParameters) -> Iterator[str]:
    """Yield a line per budget of which something can be expected."""
    so_far = {measure.name: measure.taken for measure in taken}
    for whole in measures(expected, limits):
        if whole.limit is not None and whole.taken:
            yield (
                f"limits.budget.{whole.name} = {shown(whole.limit)}: {shown(whole.taken)} expected in all"
                f"{', which is more' if whole.is_spent else ''}; {shown(so_far.get(whole.name, 0.0))} taken so far"
            )

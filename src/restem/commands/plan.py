"""`restem plan`: what an experiment will take, before it is run."""

import click

from restem.commands.options import Where, of_experiment


@click.command()
@of_experiment
@click.option("--measure/--no-measure", default=True, help="Sample and train for a minute at most, to know the time.")
def plan(where: Where, *, measure: bool) -> None:
    """Show what an experiment will take: time, disk, memory.

    Samples and tokens too. Its questions must be prepared. Nothing is written; what is done already is counted too.
    """
    from restem.planning.cost import model_size
    from restem.planning.measured_sample import measure as measured
    from restem.planning.planner import disk_and_memory, plan_rows, workload
    from restem.reporting.results import aligned

    with where.open() as (catalog, parameters, _):
        questions, prompts, policy = (catalog.load(name) for name in ("questions", "prompts", "policy_0"))
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

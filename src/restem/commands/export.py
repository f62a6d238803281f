"""`restem export`: a policy for others, or samples of an iteration, as a folder or on a hub."""

import os
from pathlib import Path

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.errors import ExperimentError, PolicyError
from restem.experiment import Catalog
from restem.policies.model_card import export_policy
from restem.policies.policy import Policy

_PARTS = ("training_set", "scored_samples", "pairs")


class _PolicyUnlessSaid(click.Group):
    """`restem export ITERATION FOLDER` is `restem export policy ITERATION FOLDER`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments, the command first."""
        own = {*self.commands, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, args if not args or args[0] in own else ["policy", *args])


def _iteration(_context: click.Context, _parameter: click.Parameter, value: str) -> int | None:
    """Return the iteration's number; None for the one that the experiment recommends."""
    if value == "best":
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither an iteration nor best")
    return int(value)


_which = click.argument("iteration", callback=_iteration)
_where_to = click.argument("folder", type=click.Path(path_type=Path))
_hub = click.option("--hub", metavar="OWNER/NAME", default=None, help="Upload it there too; needs HF_TOKEN.")
_public = click.option("--public", is_flag=True, help="Make a new hub repository public.")


@click.group(cls=_PolicyUnlessSaid, subcommand_metavar="[policy|samples] ITERATION FOLDER")
def export() -> None:
    """Copy a policy, or samples, with a card to a new FOLDER.

    The policy of an ITERATION, or the samples that it drew as a data set. ITERATION is a number, or `best` for that of
    the best policy. `restem export ITERATION FOLDER` exports the policy.
    """


@export.command("policy")
@_which
@_where_to
@of_experiment
@_hub
@_public
def _export_policy(iteration: int | None, folder: Path, where: Where, hub: str | None, public: bool) -> None:
    """Copy a policy with its model card to a new FOLDER.

    The policy of an ITERATION, or the `best` one.
    """
    token = _token_for(hub)
    with where.open() as (catalog, parameters, _):
        if iteration is None:
            iteration = _best(catalog, parameters.experiment)
        missing = [name for name in (f"policy_{iteration}", f"record_{iteration}") if not catalog.exists(name)]
        if missing:
            raise ExperimentError(
                f"experiment {parameters.experiment!r} has no {' and no '.join(missing)}; "
                f"{suggestions.restem('status')} shows what it has"
            )
        policy, record = catalog.load(f"policy_{iteration}"), catalog.load(f"record_{iteration}")
        export_policy(policy, record, experiment=parameters.experiment, output=folder)
    click.echo(f"policy {policy.fingerprint} of iteration {iteration}: {folder}")
    _upload(folder, hub, kind=None, token=token, private=not public)


@export.command("samples")
@_which
@_where_to
@of_experiment
@click.option(
    "--format",
    "form",
    type=click.Choice(["prompt_completion", "messages"]),
    default="prompt_completion",
    show_default=True,
    help="Of what is learned from: texts as they were sampled, or turns of a conversation.",
)
@click.option("--only", type=click.Choice(_PARTS), multiple=True, help="A table to export; all, if not said.")
@click.option(
    "--pairs-per-question", type=click.IntRange(min=1), default=4, show_default=True, help="Pairs of one question."
)
@click.option("--seed", default=0, show_default=True, help="Another seed pairs other samples.")
@_hub
@_public
def _export_samples(  # noqa: PLR0913 - one argument per option
    iteration: int | None,
    folder: Path,
    where: Where,
    *,
    form: str,
    only: tuple[str, ...],
    pairs_per_question: int,
    seed: int,
    hub: str | None,
    public: bool,
) -> None:
    """Write samples as a data set with its card to a new FOLDER.

    Those of an ITERATION, or of that of the `best` policy. The data set has three tables: `training_set`, what was
    learned from; `scored_samples`, all samples with their verdicts; and `pairs`, a correct and a rejected sample of one
    question. `datasets` and TRL's trainers load them.
    """
    from restem.exporting.dataset import Export, export_samples

    token = _token_for(hub)
    with where.open() as (catalog, parameters, _):
        i = _best(catalog, parameters.experiment) if iteration is None else iteration
        export = Export(i, form, only or _PARTS, frozenset(only), pairs_per_question, seed)
        n_rows = export_samples(catalog, parameters, export, output=folder)
    listed = ", ".join(f"{n} rows of {name}" for name, n in n_rows.items())
    click.echo(f"samples of iteration {i}: {folder} ({listed})")
    _upload(folder, hub, kind="dataset", token=token, private=not public)


def _token_for(hub: str | None) -> str:
    """Return the token to upload with, and allow to ask the hub; nothing if nothing is to be uploaded."""
    if hub is None:
        return ""
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise PolicyError("--hub needs a token that may write: set it as HF_TOKEN in the environment")
    if " " in token or not token.isprintable() or not token.isascii():
        raise PolicyError("HF_TOKEN holds a line break, a space or a character that is not ASCII; set the token alone")
    _check_name(hub)
    os.environ["HF_HUB_OFFLINE"] = "0"  # before the session sets it for runs, which fetch nothing
    return token


def _check_name(repository: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise PolicyError(f"--hub {repository!r} is no name of a repository, as OWNER/NAME: {error}") from error


def _best(catalog: Catalog, experiment: str) -> int:
    if not catalog.exists("best_policy"):
        raise ExperimentError(f"experiment {experiment!r} has no best policy yet: no iteration of it is complete")
    policy: Policy = catalog.load("best_policy")
    return policy.iteration


def _upload(folder: Path, repository: str | None, *, kind: str | None, token: str, private: bool) -> None:
    if repository is None:
        return
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder)
    except (HfHubHTTPError, OSError) as error:
        raise PolicyError(f"{folder} is whole, but could not be uploaded to {repository}: {error}") from error
    click.echo(f"uploaded to {repository}")

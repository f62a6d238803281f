"""`restem export`: a policy for others, as a folder or on a model hub."""

import os
from pathlib import Path

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.errors import ExperimentError, PolicyError
from restem.experiment import Catalog
from restem.policies.model_card import export_policy
from restem.policies.policy import Policy


def _iteration(_context: click.Context, _parameter: click.Parameter, value: str) -> int | None:
    """Return the iteration's number; None for the one that the experiment recommends."""
    if value == "best":
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither an iteration nor best")
    return int(value)


@click.command()
@click.argument("iteration", callback=_iteration)
@click.argument("folder", type=click.Path(path_type=Path))
@of_experiment
@click.option("--hub", metavar="OWNER/NAME", default=None, help="Upload it there too; needs HF_TOKEN.")
@click.option("--public", is_flag=True, help="Make a new hub repository public.")
def export(iteration: int | None, folder: Path, where: Where, hub: str | None, public: bool) -> None:
    """Copy a policy with its model card to a new FOLDER.

    The policy of an ITERATION, or the `best` one.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if hub and not token:
        raise PolicyError("--hub needs a token that may write: set it as HF_TOKEN in the environment")
    if hub and (" " in token or not token.isprintable() or not token.isascii()):
        raise PolicyError("HF_TOKEN holds a line break, a space or a character that is not ASCII; set the token alone")
    if hub:
        os.environ["HF_HUB_OFFLINE"] = "0"  # before the session sets it for runs, which fetch nothing
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
    if hub:
        _upload(folder, hub, token=token, private=not public)
        click.echo(f"uploaded to {hub}")


def _best(catalog: Catalog, experiment: str) -> int:
    if not catalog.exists("best_policy"):
        raise ExperimentError(f"experiment {experiment!r} has no best policy yet: no iteration of it is complete")
    policy: Policy = catalog.load("best_policy")
    return policy.iteration


def _upload(folder: Path, repository: str, *, token: str, private: bool) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, OSError) as error:
        raise PolicyError(f"{folder} is whole, but could not be uploaded to {repository}: {error}") from error

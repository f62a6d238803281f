"""The options by which a command finds an experiment: as `kedro run` has them, and `--experiment`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from restem import suggestions
from restem.configuration.command_line import read_params
from restem.errors import ExperimentError
from restem.experiment import Catalog
from restem.parameters import Parameters
from restem.project import opened


class Where(NamedTuple):
    """Which experiment, and with which configuration."""

    env: str | None = None
    experiment: str | None = None  # None is the configured one
    params: Mapping[str, Any] = {}
    conf_source: str | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[Catalog, Parameters, Path]]:
        """Return the session of the experiment, to be entered; see `restem.project.opened`.

        What is loaded and not there is an error that names what makes it.
        """
        with opened(self.env, self.experiment, self.params, conf_source=self.conf_source) as found:
            catalog, parameters, project = found
            yield _Asking(catalog, parameters.experiment), parameters, project

    @contextmanager
    def open_bare(self) -> Iterator[tuple[Catalog, Parameters, Path]]:
        """Return the session as `open` does, also where what the experiment has is damaged."""
        with opened(self.env, self.experiment, self.params, conf_source=self.conf_source, bare=True) as found:
            yield found


class _Asking:
    """A catalog whose user may ask for what no run has made yet."""

    def __init__(self, catalog: Catalog, experiment: str) -> None:
        self._catalog, self._experiment = catalog, experiment
        self.exists, self.save, self.get = catalog.exists, catalog.save, catalog.get

    def load(self, name: str) -> Any:
        if not self._catalog.exists(name):
            first = "em_iteration" if self._catalog.exists("questions_summary") else "prepare"
            raise ExperimentError(
                f"experiment {self._experiment!r} has no {_said(name)} yet; run this first: {suggestions.run(first)}"
            )
        return self._catalog.load(name)


def _said(dataset: str) -> str:
    """Return a dataset's name as people say it: scored samples of iteration 1 for iteration_1.scored_samples."""
    space, _, name = dataset.replace("_", " ").rpartition(".")
    return f"{name} of {space}" if space else name


def _parsed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, Any]:
    """Return --params as kedro run reads them."""
    return read_params(value or "")


environment = click.option("--env", default=None, help="Kedro environment, as in kedro run --env.")
params = click.option("--params", default=None, callback=_parsed, help="As in kedro run --params.")
_conf_source = click.option(
    "--conf-source",
    type=click.Path(exists=True, resolve_path=True),
    default=None,
    help="A folder or an archive, as in kedro run --conf-source.",
)
_experiment = click.option("--experiment", default=None, help="Name of the experiment, if not the configured one.")


def of_project(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which project, as its argument `where`."""

    def with_where(*args: Any, env: str | None, conf_source: str | None, **kwargs: Any) -> None:
        command(*args, where=Where(env, conf_source=conf_source), **kwargs)

    return environment(_conf_source(_like(command, with_where)))


def of_experiment(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which experiment, as its argument `where`."""

    def with_where(
        *args: Any,
        env: str | None,
        experiment: str | None,
        params: dict[str, Any],
        conf_source: str | None,
        **kwargs: Any,
    ) -> None:
        command(*args, where=Where(env, experiment, params, conf_source), **kwargs)

    return environment(_experiment(params(_conf_source(_like(command, with_where)))))


def _like(command: Callable[..., None], wrapper: Callable[..., None]) -> Callable[..., None]:
    """Return the wrapper with the command's name, text and options, without its annotations, which click reads not."""
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    wrapper.__dict__.update(command.__dict__)  # the options that stand below in the source
    return wrapper

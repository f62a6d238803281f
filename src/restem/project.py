"""The Kedro project around us: its folder, an open session of it, and where its datasets are.

Only this module looks behind the public face of Kedro.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restem.configuration.check import check_parameters
from restem.errors import ExperimentError
from restem.experiment import Catalog
from restem.parameters import Parameters


def project_folder() -> Path:
    """Return the folder of the Kedro project that the current folder is in.

    Raises:
        ExperimentError: If it is in none.
    """
    from kedro.utils import find_kedro_project

    project = find_kedro_project(Path.cwd())
    if project is None and not (Path.cwd() / "conf").is_dir():
        raise ExperimentError(f"{Path.cwd()} is not in a Kedro project; change to the folder that holds conf/")
    return Path(project or Path.cwd())


def bootstrap(project: Path) -> None:
    """Let Kedro know the project; a folder with nothing but conf/ is one, where restem is installed as a package."""
    from kedro.framework.project import configure_project
    from kedro.framework.startup import bootstrap_project

    if (project / "pyproject.toml").is_file():
        bootstrap_project(project)
    else:
        configure_project("restem")


def bootstrap_around() -> None:
    """Let Kedro know the project that the current folder is in, if it is in one: its modules can be imported then."""
    from kedro.utils import find_kedro_project

    project = find_kedro_project(Path.cwd())
    if project is not None:
        bootstrap(Path(project))


@contextmanager
def opened(
    env: str | None,
    experiment: str | None,
    params: Mapping[str, Any] | None = None,
    *,
    conf_source: str | None = None,
    bare: bool = False,
) -> Iterator[tuple[Catalog, Parameters, Path]]:
    """Return the catalog and the parameters of an experiment, and the project's folder, in an open session.

    Args:
        env: Kedro environment.
        experiment: Its name, if not the configured one.
        params: As --params of kedro run.
        conf_source: Where the configuration is, if not in the project.
        bare: Whether the catalog is to be had without looking at what it holds, which may be damaged.

    Raises:
        ExperimentError: If the current folder is not in a project.
    """
    from kedro.framework.session import KedroSession

    project = Path.cwd() if conf_source else project_folder()
    bootstrap(project)
    runtime = {**(params or {}), **({"experiment": experiment} if experiment else {})}
    created: Any = KedroSession.create(project_path=project, env=env, conf_source=conf_source, runtime_params=runtime)
    with created as session:
        context = session.load_context()
        catalog = bare_catalog(context) if bare else context.catalog
        yield catalog, check_parameters(context.config_loader["parameters"]), project


def bare_catalog(context: Any) -> Any:
    """Return the catalog without parameters; Kedro's own would ask for the pipelines, which ask for this one."""
    from kedro.io import DataCatalog

    config = {
        name: {**entry, "filepath": str(Path(context.project_path) / entry["filepath"])}
        if "filepath" in entry and "://" not in entry["filepath"]
        else entry
        for name, entry in context.config_loader["catalog"].items()
        if isinstance(entry, dict) and not name.startswith("_")
    }
    return DataCatalog.from_config(config)


def known_experiments(catalog: Catalog, parameters: Parameters) -> list[str]:
    """Return the names of all experiments of the project that have begun.

    Args:
        catalog: Of one of them.
        parameters: Of the same.
    """
    here = filepath(catalog, "questions_summary")
    # The experiment's name is a folder of every path; those beside it are the other experiments.
    place = next(parent for parent in here.parents if parent.name == parameters.experiment)
    return sorted(folder.name for folder in place.parent.glob("*") if folder.is_dir())


def experiment_folders(catalog: Catalog, parameters: Parameters) -> list[Path]:
    """Return the folders that hold what an experiment has made, one per layer of data/.

    Args:
        catalog: Of the experiment.
        parameters: Of the same.
    """
    here = filepath(catalog, "questions_summary")
    place = next(parent for parent in here.parents if parent.name == parameters.experiment)
    shared = {filepath_of_root(catalog, name) for name in ("journal", "base_models")}  # with the names of folders too
    found = (layer / parameters.experiment for layer in sorted(place.parent.parent.iterdir()) if layer.is_dir())
    return [folder for folder in found if folder.is_dir() and folder.absolute() not in shared]


def filepath_of_root(catalog: Catalog, name: str) -> Path:
    """Return the folder of a journal, which is a dataset without versions."""
    return Path(catalog.load(name).root).absolute()


def filepath(catalog: Catalog, name: str) -> Path:
    """Return where a dataset is, without its version.

    Raises:
        ExperimentError: If it is not on a disk.
    """
    dataset: Any = catalog.get(name)
    protocol = getattr(dataset, "_protocol", "file")
    if protocol != "file":
        raise ExperimentError(f"this needs results on a disk, and {name} is at {protocol}:// (data in globals.yml)")
    return Path(str(dataset._filepath))


def load_path(catalog: Catalog, name: str) -> str:
    """Return the path that the dataset would be loaded from now, its version included."""
    dataset: Any = catalog.get(name)
    return str(dataset._get_load_path())

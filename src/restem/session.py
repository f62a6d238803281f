"""Kedro's session, which says in a sentence, and before anything runs, what of that which it is to run is not there."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from restem import suggestions
from restem.errors import SelectionError, first_few

_RUN = inspect.signature(KedroSession.run)
_DEFAULT = "__default__"
_ALIKE, _NEARLY_AS_MUCH = 0.6, 0.1  # from which share of common characters on a name may be meant; ours
_SHOWN = 20  # names of a kind, at most


class ExperimentSession(KedroSession):
    """A session that runs nothing but what is there."""

    _asked: Mapping[str, Any] = {}

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run pipelines, or parts of them; see `KedroSession.run`.

        Raises:
            SelectionError: If a pipeline, node, tag or dataset is not there, or the runner cannot be used.
        """
        self._asked = _RUN.bind(self, *args, **kwargs).arguments
        refuse_other_runner(type(self._asked.get("runner") or SequentialRunner()))
        return super().run(*args, **kwargs)

    def load_context(self) -> KedroContext:
        """Return the context; with it the pipelines are known, so that what is asked of them can be looked at."""
        context = super().load_context()
        if self._asked:
            refuse_unknown(self._asked, pipelines)
            suggestions.use(suggestions.asked()._replace(selection=_as_typed(self._asked)))
        return context


def _as_typed(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of `kedro run` that name parts of pipelines."""
    words = [
        f"{part.option}={','.join(asked[name])}" for name, part in _PARTS.items() if part.filter and asked.get(name)
    ]
    return (*words, *(["--only-missing-outputs"] if asked.get("only_missing_outputs") else []))


def refuse_other_runner(kind: type) -> None:
    """Raise unless nodes are run one after the other.

    Raises:
        SelectionError: Otherwise.
    """
    if not issubclass(kind, SequentialRunner):
        raise SelectionError(
            f"--runner={kind.__name__}: the nodes of an experiment are run one after the other, by the "
            "SequentialRunner. What takes long is shared out within nodes: by scoring.workers and training.processes "
            "on this machine, by scale.backend=ray on several. Leave --runner out"
        )


def refuse_unknown(asked: Mapping[str, Any], registered: Mapping[str, Pipeline]) -> None:
    """Raise if what is asked for is not in the pipelines.

    Args:
        asked: Arguments of `KedroSession.run`.
        registered: All pipelines, by name.

    Raises:
        SelectionError: If a name is not there, or no node is in all that was asked for.
    """
    names = [*([asked["pipeline_name"]] if asked.get("pipeline_name") else []), *(asked.get("pipeline_names") or [])]
    for name in names:
        if name not in registered:
            raise SelectionError(f"--pipelines={name}: there is no such pipeline; {_near(name, registered)}")
    chosen = sum((registered[name] for name in names or [_DEFAULT]), Pipeline([]))
    where = f"--pipelines={','.join(names)}" if names else ""
    given = {part: list(asked[argument]) for argument, part in _PARTS.items() if asked.get(argument)}
    for part, wanted in given.items():
        for name in wanted:
            _refuse_unless_in(chosen, name, part, registered, where)
    try:
        chosen.filter(**{part.filter: wanted for part, wanted in given.items() if part.filter})
    except ValueError as error:
        parts = [f"{part.option}={','.join(wanted)}" for part, wanted in given.items()]
        named = " and ".join([*filter(None, [where]), *parts])
        raise SelectionError(f"there is nothing to run: no node is in all of {named}") from error


def _nodes(pipeline: Pipeline) -> list[str]:
    return [node.name for node in pipeline.nodes]


def _tags(pipeline: Pipeline) -> list[str]:
    return sorted({tag for node in pipeline.nodes for tag in node.tags})


def _namespaces(pipeline: Pipeline) -> list[str]:
    return sorted({node.namespace for node in pipeline.nodes if node.namespace})


def _inputs(pipeline: Pipeline) -> list[str]:
    return sorted(pipeline.all_inputs())


def _outputs(pipeline: Pipeline) -> list[str]:
    return sorted(pipeline.all_outputs())


def _datasets(pipeline: Pipeline) -> list[str]:
    return sorted(pipeline.datasets())


class _Part(NamedTuple):
    """A way to name a part of a pipeline."""

    option: str  # of `kedro run`
    names_in: Callable[[Pipeline], list[str]]  # that it may have
    missing: str  # what to say of another one
    filter: str  # the argument of `Pipeline.filter`, if it leaves nodes out


_NO_NODE = "there is no such node"
_PARTS = {  # by argument of `KedroSession.run`
    "tags": _Part("--tags", _tags, "no node has this tag", "tags"),
    "node_names": _Part("--nodes", _nodes, _NO_NODE, "node_names"),
    "from_nodes": _Part("--from-nodes", _nodes, _NO_NODE, "from_nodes"),
    "to_nodes": _Part("--to-nodes", _nodes, _NO_NODE, "to_nodes"),
    "from_inputs": _Part("--from-inputs", _inputs, "no node reads this dataset", "from_inputs"),
    "to_outputs": _Part("--to-outputs", _outputs, "no node makes this dataset", "to_outputs"),
    "namespaces": _Part("--namespaces", _namespaces, "no node is in this namespace", "node_namespaces"),
    "load_versions": _Part("--load-versions", _datasets, "no node reads or makes this dataset", ""),
}


def _refuse_unless_in(chosen: Pipeline, name: str, part: _Part, registered: Mapping[str, Pipeline], where: str) -> None:
    known = part.names_in(chosen)
    if name in known:
        return
    elsewhere = [other for other, pipeline in registered.items() if name in part.names_in(pipeline)]
    hint = f"one of --pipelines={first_few(elsewhere)} has it" if elsewhere else _near(name, known)
    raise SelectionError(f"{part.option}={name}: {part.missing}{f' in {where}' if where else ''}; {hint}")


def _near(name: str, known: Iterable[str]) -> str:
    """Return the names that may be meant, else what there is."""
    names = list(known)
    last = {full: full.rpartition(".")[2] for full in names}
    near = [full for full in names if name in (last[full], last[full].partition("_")[0])]
    if not near:
        alike = {full: max(_likeness(name, full), _likeness(name, last[full])) for full in names}
        least = max(_ALIKE, max(alike.values(), default=0.0) - _NEARLY_AS_MUCH)
        near = [full for full in names if alike[full] >= least]
    if near:
        return f"did you mean {first_few(near, separator=' or ')}?"
    return f"there are {', '.join(names) if len(names) <= _SHOWN else first_few(names)}"


def _likeness(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b).ratio()

"""What the catalog knows of how the samples of an iteration were made."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from restem import suggestions
from restem.configuration.check import check_parameters
from restem.errors import ExperimentError
from restem.experiment import Catalog
from restem.exporting.card import Facts
from restem.exporting.rows import Pairing, Samples
from restem.filtering.solutions import HUMAN
from restem.parameters import Parameters
from restem.parameters.decides import deciding
from restem.rewards import opinions
from restem.sampling.prompts import conversations
from restem.schemas import FROM_FILE
from restem.store.fingerprints import fingerprint
from restem.store.plain import plain
from restem.store.provenance import versions
from restem.store.tables import ShardedTable

_PAIRING = (
    "Pairs: at most {n} of a question, chosen with seed {seed}, of different texts; a rejected completion is one that "
    "was judged and found less than correct{cut_off}."
)


class Export(NamedTuple):
    """What of an iteration is exported, and how."""

    iteration: int
    form: str  # prompt_completion or messages
    parts: tuple[str, ...]
    asked: frozenset[str]  # parts that were named, so that they must have rows
    per_question: int  # pairs
    seed: int  # of the pairs

    def command(self, folder: str) -> str:
        """Return the command that exports the same into a folder."""
        only = [word for name in self.parts if name in self.asked for word in ("--only", name)]
        options = [
            "--format",
            self.form,
            *only,
            "--pairs-per-question",
            str(self.per_question),
            "--seed",
            str(self.seed),
        ]
        return suggestions.restem("export", "samples", str(self.iteration), folder, *options, on_page=True)


def samples_of(catalog: Catalog, export: Export, parameters: Parameters) -> tuple[Samples, Parameters]:
    """Return the samples of an iteration, and the parameters that they were made with.

    Raises:
        ExperimentError: If the iteration drew none, or was begun again and is not complete.
    """
    i = export.iteration
    if i == 0:
        raise ExperimentError("iteration 0 is the base policy as it came, for which nothing was sampled to learn from")
    if not catalog.exists(f"iteration_{i}.scored_samples"):
        raise ExperimentError(
            f"experiment {parameters.experiment!r} has no scored samples of iteration {i}; "
            f"{suggestions.restem('status')} shows what it has"
        )
    questions = catalog.load("questions")
    found = Samples(
        scored=catalog.load(f"iteration_{i}.scored_samples"),
        follow_up=_table(catalog, f"iteration_{i}.follow_up_samples"),
        training_set=_table(catalog, f"iteration_{i}.training_set"),
        questions=questions,
        prompts=catalog.load("prompts"),
        turns=None,
    )
    made_with = _parameters_of(catalog, i, found.training_set, parameters)
    if export.form == "messages":
        found = found._replace(turns=conversations(questions, made_with.prompt))
    return found, made_with


def _parameters_of(catalog: Catalog, iteration: int, training_set: ShardedTable, now: Parameters) -> Parameters:
    """Return the parameters that an iteration was made with: those of its record, or while it has none those of now.

    Raises:
        ExperimentError: If the record is of another training set.
    """
    if not catalog.exists(f"record_{iteration}"):
        return now
    record = catalog.load(f"record_{iteration}")
    if record["training"]["training_set_digest"] != _digest(training_set):
        raise ExperimentError(
            f"iteration {iteration} of experiment {now.experiment!r} was begun again since it was complete, so what "
            "made its samples is not known; finish it: "
            f"{suggestions.run('em_iteration', params={'em.iteration': iteration})}"
        )
    return check_parameters(record["parameters"])


def pairing_of(export: Export, parameters: Parameters) -> Pairing:
    """Return which pairs are made; cut-off samples are in them where they are learned from."""
    return Pairing(export.per_question, export.seed, parameters.filtering.keep_truncated)


def facts_of(  # noqa: PLR0913 - all that a card says something of
    catalog: Catalog, export: Export, samples: Samples, parameters: Parameters, now: Parameters, *, command: str
) -> Facts:
    """Return what the card says.

    Args:
        catalog: Of the experiment.
        export: What is exported.
        samples: Of the iteration.
        parameters: That they were made with.
        now: The parameters as the command was given them.
        command: That exports the same again.
    """
    i = export.iteration
    is_complete = catalog.exists(f"record_{i}")
    drawn = samples.scored[["question_id", "policy_id", "reward_version"]].drop_duplicates()
    asked = samples.questions[samples.questions["question_id"].isin(drawn["question_id"])]
    learned = samples.training_set["policy_id"] if samples.training_set.files else ()
    version_of = dict(zip(drawn["question_id"], drawn["reward_version"], strict=True))
    by_reward = {name: version_of[row] for row, name in zip(asked["question_id"], asked["reward"], strict=True)}
    audit = f"iteration_{i}.audit_summary"
    return Facts(
        experiment=now.experiment,
        iteration=i,
        is_complete=is_complete,
        writers=_writers(catalog, i, sorted({*drawn["policy_id"], *learned})),
        parameters=plain(parameters),
        rewards=dict(sorted(by_reward.items())),
        opinions=opinions(by_reward, plain(parameters.scoring)["options"]),
        audit=catalog.load(audit) if catalog.exists(audit) else None,
        licences=tuple(sorted(set(asked["licence"]))),
        sources=tuple(sorted(set(asked["source"]))),
        pairing=_explained(pairing_of(export, parameters)),
        form=export.form,
        commands=(_run(i, parameters, now), command),
        versions=catalog.load(f"record_{i}")["versions"] if is_complete else versions(),
    )


def _explained(pairing: Pairing) -> str:
    cut_off = "" if pairing.truncated else ", and cut-off ones are in none"
    return _PAIRING.format(n=pairing.per_question, seed=pairing.seed, cut_off=cut_off)


def _table(catalog: Catalog, name: str) -> ShardedTable:
    return catalog.load(name) if catalog.exists(name) else ShardedTable([])


def _digest(training_set: ShardedTable) -> str:
    rows = training_set[["question_id", "sample_index"]].to_numpy().tolist() if training_set.files else []
    return fingerprint(rows)


def _run(iteration: int, made_with: Parameters, now: Parameters) -> str:
    """Return the command that makes the iterations up to this one, also where it is asked for with other parameters."""
    before, asked = (plain(deciding(side)) for side in (made_with, now))
    changed = {name: value for name, value in before.items() if name not in asked or asked[name] != value}
    method = {"method": made_with.method} if made_with.method != now.method else {}
    return suggestions.run(params={"em.iterations": iteration, **method, **changed}, on_page=True)


def _writers(catalog: Catalog, iteration: int, policy_ids: list[str]) -> dict[str, str]:
    """Return who wrote completions, by policy_id."""
    known: dict[str, str] = {
        HUMAN: "people: solutions that came with the questions",
        **dict(_policies(catalog, iteration)),
    }
    return {name: known.get(name) or _unknown(name) for name in policy_ids}


def _unknown(policy_id: str) -> str:
    is_read = policy_id.startswith(f"{FROM_FILE}:")
    return (
        "whoever wrote the completions in files" if is_read else "a policy that the experiment does not hold any more"
    )


def _policies(catalog: Catalog, iteration: int) -> Iterator[tuple[str, str]]:
    names = ["teacher", *(f"policy_{i}" for i in range(iteration))]
    for name in filter(catalog.exists, names):
        policy: Any = catalog.load(name)
        model = f"{policy.name}, revision {policy.revision}" if policy.revision else policy.name
        whose = {"teacher": "the teacher"}.get(
            name, f"policy_{policy.iteration}, trained from" if policy.iteration else ""
        )
        yield policy.fingerprint, f"{whose} {model}".strip()

"""`restem prompt`: what a policy is given for a question, token by token, and where the loss begins."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from restem.commands.options import Where, of_experiment
from restem.parameters import Parameters, PromptParameters
from restem.store.tables import Table

if TYPE_CHECKING:
    from restem.experiment import Catalog
    from restem.lineage import Wanted
    from restem.policies.policy import Policy
    from restem.training.reading import Stretch

_WIDTH = 116  # of a line of tokens
_INDENT = "    "


@click.command()
@click.argument("name", metavar="ID")
@of_experiment
def prompt(name: str, where: Where) -> None:
    """Show a question's prompt, and where the loss begins.

    ID is QUESTION, or QUESTION:INDEX or QUESTION:INDEX@POLICY for a sample, as for restem trace; it may be cut short
    where that names one. The prompt is written with the parameters of now, so --params=prompt.... tries others. Behind
    it stands a completion that was learned from, if there is one.
    """
    from restem.lineage import find

    with where.open() as (catalog, parameters, _project):
        wanted = find(catalog, name)
        for line in _described(catalog, wanted, parameters):
            click.echo(line)


def _described(catalog: "Catalog", wanted: "Wanted", parameters: Parameters) -> Iterator[str]:
    from restem.lineage import origin
    from restem.sampling.answers import goes_on_reasoning, prefills_of

    made = origin(catalog, wanted)
    policy, asking = catalog.load("policy_0"), _asking(made.question, parameters.prompt)
    rendered = _rendered(catalog, wanted, policy, parameters.prompt)
    text, prefill = str(rendered["prompt"].iloc[0]), prefills_of(rendered)[0]
    yield f"question {wanted.question_id}: {made.question['split']}, read by {policy.name}"
    if made.left_out:
        yield f"  never asked: {made.left_out}"
    yield f"prompt {rendered['prompt_id'].iloc[0]}: {', '.join(_settings(asking))}"
    if made.prompt_id is not None and made.prompt_id != rendered["prompt_id"].iloc[0]:
        yield f"  the experiment has another one, of other parameters: {made.prompt_id}"
    reasoning = parameters.sampling.reasoning
    if reasoning is not None:
        begun = "begun in the prompt" if goes_on_reasoning(rendered, reasoning)[0] else "begun by the policy, if at all"
        yield (
            f"reasoning between {reasoning.open!r} and {reasoning.close!r}, {begun}, closed by the engine after "
            f"{reasoning.budget} tokens; what follows it is judged"
        )
    yield "text:"
    yield from (f"{_INDENT}{line}" for line in text.split("\n"))
    yield from _tokens(catalog, wanted, rendered, prefill, parameters)


def _asking(question: dict[str, Any], parameters: PromptParameters) -> PromptParameters:
    """Return how a question is put: as its suite wants it."""
    from restem.questions import suite_of

    if question["split"] != "transfer":
        return parameters
    return parameters.of_suite.get(suite_of(question["source"]), parameters)


def _settings(asking: PromptParameters) -> Iterator[str]:
    yield f"style {asking.style}"
    for name, value in (asking.template_options or {}).items():
        yield f"{name}={str(value).lower() if isinstance(value, bool) else value}"
    if asking.system is not None:
        yield f"system {asking.system!r}"
    if asking.prefill:
        yield f"prefill {asking.prefill!r}"


def _rendered(catalog: "Catalog", wanted: "Wanted", policy: "Policy", parameters: PromptParameters) -> Table:
    """Return the prompt of the question alone, as a table: with exemplars, and written with these parameters."""
    from restem.sampling.prompts import render_prompts

    questions = catalog.load("questions")
    if wanted.question_id not in set(questions["question_id"]):
        questions = catalog.load("candidate_questions")
    shown = questions["split"] == "exemplar"
    chosen = questions[shown | (questions["question_id"] == wanted.question_id)]
    own = parameters if (chosen["split"] == "transfer").any() else replace(parameters, of_suite={})
    rendered = render_prompts(chosen, policy, own)
    if rendered.empty:
        raise click.UsageError(f"question {wanted.question_id} is an exemplar: it is shown in prompts, and never asked")
    return rendered


def _tokens(
    catalog: "Catalog", wanted: "Wanted", rendered: Table, prefill: str, parameters: Parameters
) -> Iterator[str]:
    from restem.sampling.styles import adds_special_tokens
    from restem.training.reading import read_prompt, read_row

    policy, added = catalog.load("policy_0"), adds_special_tokens(parameters.prompt)
    row = _kept(catalog, wanted)
    if row is None:
        stretches = read_prompt(policy, str(rendered["prompt"].iloc[0]), prefill, add_special_tokens=added)
        yield from _listed(stretches)
        n = sum(len(stretch.tokens) for stretch in stretches)
        yield f"the loss begins behind these {n} tokens, with the policy's own text; nothing was learned from yet"
        return
    behind = row.assign(prompt=str(rendered["prompt"].iloc[0]))
    mark = parameters.training.learn_after
    stretches = read_row(policy, behind, prefill, add_special_tokens=added, learn_after=mark)
    yield from _listed(stretches)
    n = 0
    for stretch in stretches:
        if stretch.is_learnt:
            yield f"the loss begins at token {n + 1}: {stretch.tokens[0].piece!r}"
            return
        n += len(stretch.tokens)
    yield "nothing of this row is learnt"


def _kept(catalog: "Catalog", wanted: "Wanted") -> Table | None:
    """Return the row that the last iteration learned from, or the sample that was asked for; None if there is none."""
    from restem.lineage import steps

    found: Table | None = None
    for step in steps(catalog, wanted):
        drawn = step.samples.iloc[:1].assign(weight=1.0) if wanted.sample_index is not None else step.learned
        rows = step.learned.iloc[:1] if len(step.learned) else drawn
        found = rows if len(rows) else found
    return found


def _listed(stretches: "list[Stretch]") -> Iterator[str]:
    for stretch in stretches:
        said = "learnt" if stretch.is_learnt else "read, not learnt"
        by = ", written by the engine" if stretch.what == "closing mark" else ""
        yield f"{stretch.what}, {len(stretch.tokens)} tokens, {said}{by}:"
        yield from _wrapped([f"{token.number} {token.piece!r}" for token in stretch.tokens])


def _wrapped(words: list[str]) -> Iterator[str]:
    line = _INDENT
    for word in words:
        if len(line) + len(word) > _WIDTH and line.strip():
            yield line.rstrip()
            line = _INDENT
        line += f"{word}  "
    if line.strip():
        yield line.rstrip()

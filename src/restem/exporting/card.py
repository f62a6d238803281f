"""The card of a data set of samples: how it was made, by whom, how it was judged, and what it may be used for."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from restem.evaluation.intervals import in_text
from restem.schemas import FROM_FILE

# As hubs call them; they refuse a card with a licence that they do not know.
_LICENCES = frozenset(
    [
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0"),
        *(
            "cc0-1.0",
            "cc-by-2.0",
            "cc-by-2.5",
            "cc-by-3.0",
            "cc-by-4.0",
            "cc-by-sa-3.0",
            "cc-by-sa-4.0",
            "cc-by-nd-4.0",
        ),
        *("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "odc-by", "odbl", "pddl", "unlicense"),
    ]
)
_SMALL = 1_000
_SIZES = {_SMALL: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
_ABOUT = {
    "training_set": "what the filter kept to learn from, for supervised fine-tuning (SFTTrainer); `weight` is the "
    "example's in restem's own loss, which other trainers do not read",
    "scored_samples": "every completion that was judged, with its verdict, its question and the gold",
    "pairs": "a correct and a rejected completion of one question, for preferences (DPOTrainer, RewardTrainer)",
}


class Facts(NamedTuple):
    """What the card says of how samples were made."""

    experiment: str
    iteration: int
    is_complete: bool  # whether a policy has learned from them
    writers: Mapping[str, str]  # who wrote them, by policy_id
    parameters: Mapping[str, Any]  # nested, as in parameters.yml
    rewards: Mapping[str, str]  # version by name
    opinions: Mapping[str, str]  # whose opinion a reward is that checks nothing
    audit: Mapping[str, Any] | None
    licences: tuple[str, ...]  # of the questions; "" is one that the source does not name
    sources: tuple[str, ...]  # of the questions
    pairing: str  # how pairs were chosen
    form: str  # of what is learned from: prompt_completion or messages
    commands: tuple[str, ...]  # that make it again
    versions: Mapping[str, str]


def dataset_card(facts: Facts, n_rows: Mapping[str, int]) -> str:
    """Return the card as Markdown, with the front matter that hubs and `datasets` read."""
    written = {name: n for name, n in n_rows.items() if n}
    sections = {
        f"{facts.experiment}: samples of iteration {facts.iteration}": _what(facts),
        "Tables": _tables(facts, written, n_rows.keys() - written.keys()),
        "How it was made": _made(facts),
        "How it was judged": _judged(facts),
        "Licence": _licence(facts),
        "Make it again": ["```", *facts.commands, "```", "", f"With {_listed(facts.versions)}."],
    }
    lines = [*_front_matter(facts, written)]
    for number, (title, text) in enumerate(sections.items()):
        lines += ["", f"{'##' if number else '#'} {title}", "", *text]
    return "\n".join([*lines, ""])


def _front_matter(facts: Facts, written: Mapping[str, int]) -> Iterator[str]:
    known = sorted({_hub_licence(licence) for licence in facts.licences})
    yield "---"
    yield f"license: [{', '.join(known)}]" if len(known) > 1 else f"license: {known[0]}"
    yield "task_categories: [text-generation]"
    yield "tags: [restem, self-training, synthetic]"
    yield f"size_categories: [{_size(max(written.values()))}]"
    yield "configs:"
    for number, name in enumerate(written):
        yield f"- config_name: {name}"
        if not number:
            yield "  default: true"
        yield "  data_files:"
        yield "  - split: train"
        yield f"    path: {name}/*.parquet"
    yield "---"


def _hub_licence(name: str) -> str:
    lower = name.lower().replace(" ", "-")
    return lower if lower in _LICENCES else "other" if name else "unknown"


def _size(n: int) -> str:
    return next((size for limit, size in _SIZES.items() if n < limit), "n>10M")


def _what(facts: Facts) -> Iterator[str]:
    yield (
        "Completions that a language model wrote in an iteration of self-training with ReST^EM (Singh et al. 2023, "
        "https://arxiv.org/abs/2312.06585), each judged by a reward. They are synthetic: what was found correct may "
        "still be wrong, see below."
    )
    if not facts.is_complete:
        yield "The iteration is not complete: no policy has learned from them yet."


def _tables(facts: Facts, written: Mapping[str, int], empty: Iterable[str]) -> Iterator[str]:
    yield "| table | rows | what |"
    yield "|---|---|---|"
    for name, n in written.items():
        yield f"| {name} | {n} | {_ABOUT[name]} |"
    yield ""
    if empty:
        yield f"Empty, and so not here: {', '.join(sorted(empty))}."
    if "pairs" in written:
        yield facts.pairing
    if facts.form == "messages":
        yield "Messages hold the turns that asked; the space that parted a completion from its prompt is left out."
    yield "The prompts end where the policy's answer begins; a trainer adds the end-of-sequence token."
    yield ""
    yield "```python"
    yield from (f'load_dataset(FOLDER, "{name}", split="train")' for name in written)
    yield "```"


def _made(facts: Facts) -> Iterator[str]:
    sampling, filtering = facts.parameters["sampling"], facts.parameters["filtering"]
    yield "| | |"
    yield "|---|---|"
    for policy_id, writer in facts.writers.items():
        yield f"| written by `{policy_id}` | {writer} |"
    yield f"| method | {facts.parameters['method']} |"
    yield f"| questions | {', '.join(facts.sources)} |"
    of_drawing = ("n", "temperature", "top_k", "top_p", "max_new_tokens", "stop")
    drawn = ("engine", *(("engine_options",) if sampling["engine"] == FROM_FILE else of_drawing))
    yield f"| sampling | {_listed({name: sampling[name] for name in drawn})} |"
    kept = ("min_reward", "max_per_question", "distinct", "choose", "keep_truncated", "learn_from")
    yield f"| filtering | {_listed({name: filtering[name] for name in kept})} |"
    yield ""
    yield "Every parameter is in `restem.json`."


def _judged(facts: Facts) -> Iterator[str]:
    yield from (f"- reward `{name}`, version `{version}`" for name, version in facts.rewards.items())
    yield from (f"- no check but an opinion: the reward {name} is {whose}" for name, whose in facts.opinions.items())
    yield ""
    if facts.audit is None:
        yield "The rewards of this iteration were not audited: how many accepted samples are wrong is not known."
        return
    audit = facts.audit
    if audit["n_checked"]:
        rate = in_text(audit["false_positive_rate"], audit["low"], audit["high"])
        yield (
            f"Audited error rate: a second verifier refuses {audit['n_disagreed']} of {audit['n_checked']} accepted "
            f"samples that it looked at: {rate} (95 % interval)."
        )
    else:
        yield "Audited error rate: not known; no accepted sample could be checked by a second verifier."
    yield from (f"The reward {name} has no second verifier: {why}." for name, why in audit["not_audited"].items())
    yield (
        f"Known cases that failed: {audit['golden_failed']} of {audit['golden_cases']}; golds that failed: "
        f"{audit['canaries_failed']} of {audit['canaries']}."
    )


def _licence(facts: Facts) -> Iterator[str]:
    named = ", ".join(sorted({licence or "not named by their source" for licence in facts.licences}))
    yield f"Licence of the questions: {named}."
    yield "Completions are the policy's: what the licence of its base model asks of its output holds for them."


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()).replace("|", "\\|")

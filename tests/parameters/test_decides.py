"""What a parameter is declared to decide is what it decides: each is changed, and what is made again is looked at."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import pandas as pd
import pytest

from restem import questions
from restem.configuration.check import check_parameters
from restem.configuration.consistency import changed_parameters, deciding_here
from restem.configuration.resolve import merged
from restem.engines import deciding_engine_options, known_engines
from restem.engines.arithmetic import Arithmetic, native_dtype
from restem.errors import QuestionsError
from restem.filtering import selection
from restem.parameters import Parameters, TrainingParameters
from restem.parameters.decides import Decides, Harmless, Stage, declarations, declared, option_declarations
from restem.policies.base_models import prepare_base_model, prepare_teacher
from restem.policies.policy import Policy
from restem.questions import contamination
from restem.rewards.judge import ModelJudge
from restem.rewards.loading import deciding_reward_options
from restem.sampling import draws
from restem.sampling.prompts import render_prompts
from restem.sampling.sampler import EngineChoice, draw_samples
from restem.sampling.styles import adds_special_tokens
from restem.scoring.verdicts import open_reward
from restem.store.fingerprints import fingerprint
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, write_shard
from restem.training.m_step import MStep, policy_decided_by
from restem.training.validation import make_validation, validation_decided_by
from tests.conftest import ROOT, nested
from tests.engines.faulty_server import serving

ACCELERATE = ROOT / "conf/accelerate"
TASK = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2}
OF_SUITE = {"n": 3, "temperature": 0.5, "top_k": 3, "top_p": 0.5, "max_new_tokens": 3, "stop": ["z"]}
SPLITS = {
    **{f"t{n}": "train" for n in range(6)},
    "v": "validation",
    "s": "test",
    "m": "transfer",
    "x": "exemplar",
    "my-x": "exemplar",
}
# Everything that a parameter can matter for is on, so that each of them matters.
CONFIGURATION: dict[str, Any] = {
    "experiment": "e",
    "em": {},
    "policy": {},
    "questions": {
        "n_train": 6,
        "n_validation": 2,
        "n_test": 2,
        "n_exemplars": 2,
        "near_duplicates": "keep",
        "near_duplicate_similarity": 0.6,
        "options": {"tasks": {"chain_sum": TASK}},
    },
    "prompt": {"template": "{question}\nA:", "of_suite": {"mine": {"template": "{question}?"}}},
    "sampling": {
        "engine": "scripted",
        "engine_options": {"default": ["1", "2", "3", "4"]},
        "n": 2,
        "reasoning": {"budget": 2},
        "follow_up": {"rounds": 1},
    },
    "scoring": {"options": {"exact": {"kind": "number"}}},
    "filtering": {"weight": "exponential", "min_reward": 0.5},
    "training": {
        "launcher": "accelerate",
        "launcher_config": str(ACCELERATE / "ddp.yaml"),
        "processes": 2,
        "micro_batch_size": 4,
        "dtype": "float32",
        "lora": {},
    },
    "evaluation": {
        "n": 8,
        "n_train_questions": 3,
        "of_suite": {
            "test": {"n": 3, "temperature": 0.5, "top_k": 3, "top_p": 0.5, "max_new_tokens": 3, "stop": ["z"]}
        },
    },
    "limits": {"prices": {"hour": 1.0}},
    "tracking": {},
}
# Where another value is not simply another number.
OTHERWISE: dict[str, Any] = {
    "em.iteration": 1,
    "em.stop_when": ["overfitting"],
    "em.keep_policies": "best",
    "experiment": "f",
    "method": "rft",
    "questions.source": "tests.parameters.test_decides:own_source",
    "questions.n_train": 5,
    "questions.options": {"tasks": {"chain_sum": {**TASK, "max_digits": 3}}},
    "questions.reward": "exact",
    "questions.train_reward": "exact",
    "questions.near_duplicates": "fail",
    "questions.near_duplicate_similarity": 0.05,
    "prompt.style": {"style": "chat", "of_suite": {"mine": {"style": "chat"}}},
    "prompt.of_suite.mine.style": "zero_shot",
    "prompt.prefill": "It is",
    "prompt.of_suite.mine.prefill": "It is",
    "sampling.engine": "restem.engines.scripted:open_scripted",
    "sampling.engine_options": {"default": ["5"]},
    "sampling.n_questions": 2,
    "sampling.reasoning.budget": 1,
    "sampling.follow_up.until_correct": 2,
    "sampling.follow_up.hint": "(It is {answer}.)",
    "scoring.options": {"exact": {"kind": "string"}},
    "scoring.warn_above": {"timeout": 0.5},
    "filtering.choose": "first",
    "filtering.distinct_by": "equations",
    "filtering.weight": "reward",
    "filtering.learn_from": ["samples", "human"],
    "training.start_from": "previous",
    "training.micro_batch_size": 8,
    "training.schedule": "cosine",
    "training.dtype": "bfloat16",
    "training.launcher": {"launcher": "in_process", "processes": None},
    "display.log": "screen",
    "training.launcher_config": str(ACCELERATE / "fsdp.yaml"),
    "training.processes": 4,
    "training.machines": 1,
    "training.batch_size": 32,
    "training.lora.targets": ["q_proj"],
    "training.learn_after": "</think>",
    "evaluation.k": [1, 2],
    "limits.questions": 1,
    "limits.samples": 99,
    "scale.backend": "ray",
    "scale.address": "auto",
}


def own_source(parameters: Any) -> Iterator[dict[str, Any]]:
    for number, split in enumerate(["train", "train", "test", "validation", "exemplar"]):
        yield {"text": f"question {number}", "gold": {"answer": str(number)}, "split": split}


class Made:
    """What every stage is made from, and what names its result."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Journal(folder / "store")
        self.model, self.other = folder / "model", folder / "other"
        shutil.copytree(prepare_base_model("builtin:tiny", store=self.store).folder, self.model)
        (self.model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
        shutil.copytree(self.model, self.other)
        config = json.loads((self.other / "config.json").read_text())
        (self.other / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 40}))
        self.base = prepare_base_model(str(self.model), store=self.store)
        self.questions = pd.DataFrame(
            {
                "question_id": name,
                "text": f"{number} + 1 " + "and nothing else " * (name == "t5"),
                "gold": json.dumps({"answer": str(number + 1), "solution": str(number + 1)}),
                "reward": "exact",
                "level": "",
                "source": "mine" if name.startswith("m") else "sums",
                "split": split,
                "licence": "",
            }
            for number, (name, split) in enumerate(SPLITS.items())
        )
        self.parameters = self.checked()
        self.prompts = render_prompts(self.questions, self.base, self.parameters.prompt)
        self.rows = self._rows()
        self._known: dict[str, str] = {}

    def checked(self, **changed: Any) -> Parameters:
        return check_parameters(merged(merged(CONFIGURATION, {"policy": {"model": str(self.model)}}), nested(changed)))

    def _rows(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "policy_id": "p", "question_id": ["t0"], "sample_index": 0, "prompt": "1 + 1", "completion": "2",
                "finish_reason": "stop", "weight": 1.0, "rank": 1,
            }
        )  # fmt: skip

    def names(self, parameters: Parameters) -> dict[str, str]:
        """Return what names the result of each stage, whose inputs are always the same."""
        return {stage: self._once(stage, parameters) for stage in get_args(Stage)}

    def _once(self, stage: str, parameters: Parameters) -> str:
        groups = [getattr(parameters, group) for group in READ_BY[stage]]
        key = f"{stage} {groups!r}"
        if key not in self._known:
            self._known[key] = fingerprint(getattr(self, f"_{stage}")(parameters))
        return self._known[key]

    def _questions(self, parameters: Parameters) -> Any:
        asked = parameters.questions
        loaded = questions.load_questions(asked, limit=parameters.limits.questions)
        try:
            kept, apart = contamination.separate_near_duplicates(loaded, asked)
        except QuestionsError as error:
            return str(error)
        reward = open_reward("exact", parameters.scoring).version
        return [kept.to_numpy().tolist(), apart["question_id"].to_list(), reward]

    def _prompts(self, parameters: Parameters) -> Any:
        base = prepare_base_model(parameters.policy.model, store=self.store)
        return render_prompts(self.questions, base, parameters.prompt).to_numpy().tolist()

    def _drawn(self, asked: Any, policy: Policy, parameters: Parameters) -> list[str]:
        """Return the names of the entries in which completions are drawn, and how they were."""
        journal = Journal(self.folder / fingerprint(repr(parameters)))
        choice = draws.engine_choice(parameters.sampling, parameters.prompt)
        drawn = draw_samples(asked, policy, choice=choice, journal=journal, experiment_seed=parameters.em.seed)
        return sorted({file.parent.name for file in drawn.files})

    def _samples(self, parameters: Parameters) -> Any:
        base = prepare_base_model(parameters.policy.model, store=self.store)
        policy = draws.who_samples(base, prepare_teacher(parameters.policy.teacher, base, store=self.store))
        first = draws.training_draw(self.questions, self.prompts, parameters.sampling, iteration=1)
        # Which questions further rounds ask, and how, depends on verdicts; here all of them are asked again.
        further = parameters.sampling.follow_up
        return [self._drawn([first], policy, parameters), further.rounds, further.until_correct, further.hint]

    def _verdicts(self, parameters: Parameters) -> Any:
        return [open_reward("exact", parameters.scoring).version, parameters.scoring.timeout_s]

    def _training_set(self, parameters: Parameters) -> Any:
        scored = self._rows().assign(
            suite="train", decoding="sampled", prompt_id="0" * 16, n_tokens=1, seed=0, reward=1.0, reason="correct",
            answer="2", found_by=None, reward_version="r", seconds=0.0,
        )  # fmt: skip
        file, journal = self.folder / "scored.parquet", Journal(self.folder / "filtering")
        write_shard(scored, file)
        made = selection.select_training_set(
            selection.Sources(ShardedTable([file])), self.prompts, seed=parameters.em.seed, journal=journal,
            parameters=selection.at_iteration(parameters.filtering, 2),
        )  # fmt: skip
        return sorted({one.parent.name for one in made.files})

    def _policy(self, parameters: Parameters) -> Any:
        base = prepare_base_model(parameters.policy.model, store=self.store)
        previous = replace(base, fingerprint="f" * 16)
        validation = make_validation(
            self.questions, self.prompts, self.rows, every=parameters.training.eval_every,
            choice=draws.engine_choice(parameters.sampling, parameters.prompt), sampling=parameters.sampling,
            scoring=parameters.scoring,
        )  # fmt: skip
        step = MStep(
            base_policy=base, parent=previous, training=parameters.training, validation=validation,
            add_special_tokens=adds_special_tokens(parameters.prompt),
        )  # fmt: skip
        return policy_decided_by(step.request(self.rows), parameters.scale)

    def _evaluation(self, parameters: Parameters) -> Any:
        base = prepare_base_model(parameters.policy.model, store=self.store)
        asked = draws.evaluation_draws(
            self.questions, self.prompts, parameters.sampling, parameters.evaluation, iteration=0,
            seed=parameters.em.seed,
        )  # fmt: skip
        return [self._drawn(asked, base, parameters), parameters.evaluation.k]


READ_BY = {  # the groups that the pipeline of a stage reads
    "questions": ("questions", "limits", "scoring"),
    "prompts": ("prompt", "policy"),
    "samples": ("em", "policy", "prompt", "sampling", "scale"),
    "verdicts": ("scoring", "scale"),
    "training_set": ("em", "filtering"),
    "policy": ("em", "policy", "prompt", "sampling", "scoring", "training", "scale"),
    "evaluation": ("em", "policy", "prompt", "sampling", "evaluation", "scale"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def changed(made: Made, name: str, value: Any) -> Parameters:
    other: Any = None
    if name in {"policy.model", "policy.teacher"}:
        other = str(made.other)
    if name == "questions.exemplars":
        other = str(made.folder / "exemplars.jsonl")
        Path(other).write_text('{"text": "a", "solution": "b"}\n{"text": "c", "solution": "d"}\n')
    if name == "questions.transfer":
        file = made.folder / "suite.jsonl"
        file.write_text('{"text": "q", "gold": {"answer": "1"}, "split": "test"}\n')
        return made.checked(questions__transfer={"own": {"source": "file", "path": str(file)}})
    if other is None:
        other = OTHERWISE[name] if name in OTHERWISE else _other(value)
    group, _, last = name.rpartition(".")
    given = other if isinstance(other, dict) and last in other else {last: other}
    place = nested({group.replace(".", "__"): given}) if group else given
    return check_parameters(merged(merged(CONFIGURATION, {"policy": {"model": str(made.model)}}), place))


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.5
    if isinstance(value, str):
        return f"{value}{{question}}!"
    if isinstance(value, list):
        return [*value, "!"]
    assert value is None, f"say in OTHERWISE what else {value!r} can be"
    return 1


# What shows only with a chat template that reads it, or with a folder that brings code along: these are in
# tests/sampling/test_chat_templates.py, tests/sampling/test_chat_families.py and tests/engines/test_model_code.py.
OF_CHATS = ("date", "system", "template_options")
SHOWN_ELSEWHERE = {
    "policy.run_code_from_model_folder",
    *(f"{group}.{name}" for group in ("prompt", "prompt.of_suite.mine") for name in OF_CHATS),
}


def walked() -> list[str]:
    names = [found.name for found in declared(check_parameters(CONFIGURATION))]
    return [name for name in names if name not in SHOWN_ELSEWHERE]


@pytest.mark.parametrize("name", walked())
def test_a_changed_parameter_makes_again_what_it_decides_and_nothing_else(made: Made, name: str) -> None:
    said = {found.name: found for found in declared(made.parameters)}[name]
    parameters = changed(made, name, said.value)
    before, now = made.names(made.parameters), made.names(parameters)

    made_again = {stage for stage in before if before[stage] != now[stage]}

    expected = {"prompts"} if name == "prompt.of_suite.mine.style" else said.decides.stages
    assert made_again == expected
    record = {"iteration": 1, "parameters": {}, "decided_by": deciding_here(made.parameters)}
    noticed = [change.name for change in changed_parameters(record, parameters) if change.name != "method"]
    assert bool(noticed) == bool(said.decides.stages)


def test_every_parameter_says_what_it_decides() -> None:
    silent = [
        f"{kind.__name__}.{field.name}"
        for kind in groups_of(Parameters)
        for field in fields(kind)
        if declarations(kind)[field.name] is None and not _holds_groups(get_type_hints(kind)[field.name])
    ]

    assert silent == []
    assert len(list(groups_of(Parameters))) > 15


def groups_of(kind: type) -> Iterator[type]:
    seen, waiting = set(), [kind]
    while waiting:
        group = waiting.pop()
        if group not in seen:
            seen.add(group)
            yield group
            waiting += [inner for hint in get_type_hints(group).values() for inner in _groups_in(hint)]


def _groups_in(hint: Any) -> list[type]:
    return [hint] if is_dataclass(hint) else [group for inner in get_args(hint) for group in _groups_in(inner)]


def _holds_groups(hint: Any) -> bool:
    return bool(_groups_in(hint))


@pytest.mark.parametrize("name", known_engines())
def test_every_option_of_an_engine_says_what_it_decides(name: str) -> None:
    import inspect

    from restem.engines import _load

    factory = _load(name)

    assert [*option_declarations(factory)] == [*inspect.signature(factory).parameters][1:]


def test_every_option_of_the_model_judge_says_what_it_decides() -> None:
    import inspect

    assert [*option_declarations(ModelJudge)] == [*inspect.signature(ModelJudge).parameters]


@pytest.mark.parametrize(
    ("name", "harmless", "deciding"),
    [
        ("transformers", {"profile": True}, {"max_batch": 3, "threads": 2, "dtype": "bfloat16"}),
        (
            "openai",
            {
                "max_tokens_budget": 9, "max_requests_budget": 9, "concurrency": 2, "timeout_s": 1.0, "max_retries": 0,
                "backoff_s": 0.0, "api_key_env": "KEY",
            },
            {"model": "m", "base_url": "http://h/v1", "endpoint": "chat", "n_per_request": 1, "extra_body": {"a": 1}},
        ),
        ("scripted", {}, {"default": ["1"], "answers": {"a": ["1"]}}),
        ("vllm", {"startup_timeout_s": 9.0, "python": "/no/python"}, {"args": {"seed": 1}, "dtype": "bfloat16"}),
        ("tests.parameters.test_decides:open_own", {"patience": 3}, {"said": 1, "unsaid": 2}),
    ],
)  # fmt: skip
def test_only_the_options_that_decide_name_what_is_drawn(
    name: str, harmless: dict[str, Any], deciding: dict[str, Any]
) -> None:
    pinned = {"dtype": "float32"} if name in {"transformers", "vllm"} else {}
    plain = deciding_engine_options(name, pinned)

    assert deciding_engine_options(name, pinned | harmless) == plain
    for option, value in deciding.items():
        assert deciding_engine_options(name, pinned | {option: value}) != plain, option


def test_only_the_options_that_decide_name_what_a_judge_says() -> None:
    asked = {"model": "m", "base_url": "http://h/v1"}
    harmless = {"max_tokens_budget": 9, "concurrency": 1, "request_timeout_s": 1.0, "api_key_env": "KEY"}

    assert deciding_reward_options("judge", asked | harmless) == asked
    composed = {"rewards": {"judge": asked | harmless, "format": {"form": "boxed"}}}
    found = deciding_reward_options("all_of", composed)
    assert found == {"rewards": {"judge": asked, "format": {"form": "boxed"}}}


def test_what_repeats_a_default_is_what_is_left_out() -> None:
    assert deciding_engine_options("scripted", {"answers": None}) == deciding_engine_options("scripted", {})
    on_cpu = {"device": "cpu", "dtype": "auto"}
    assert deciding_engine_options("transformers", on_cpu) == deciding_engine_options(
        "transformers", {"device": "cpu", "dtype": native_dtype("cpu")}
    )


def test_an_experiment_does_not_go_on_in_another_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    training = CONFIGURATION["training"] | {"dtype": "auto"}
    parameters = check_parameters(CONFIGURATION | {"sampling": {"engine": "transformers"}, "training": training})
    record = {"iteration": 1, "parameters": {"method": "rest_em"}, "decided_by": deciding_here(parameters)}
    assert changed_parameters(record, parameters) == []

    other = Arithmetic("bfloat16" if native_dtype("cpu") == "float32" else "float32", "cuda")
    for module in ("restem.engines.transformers", "restem.training.launch"):
        monkeypatch.setattr(f"{module}.arithmetic_of", lambda dtype, device=None: other)

    names = {change.name for change in changed_parameters(record, parameters)}
    assert names == {
        "sampling.engine_options.dtype", "sampling.engine_options.device", "training.dtype", "training.device",
    }  # fmt: skip


def test_validation_is_named_by_the_same_engine_as_sampling(made: Made) -> None:
    choice = draws.engine_choice(made.parameters.sampling, made.parameters.prompt)
    validation = make_validation(
        made.questions, made.prompts, made.rows, every=1.0, choice=choice, sampling=made.parameters.sampling,
        scoring=made.parameters.scoring,
    )  # fmt: skip
    drawn = draws.training_draw(made.questions, made.prompts, made.parameters.sampling, iteration=1)
    journal = Journal(made.folder / "same")
    samples = draw_samples([drawn], made.base, choice=choice, journal=journal, experiment_seed=0)
    entry = json.loads((samples.files[0].parent / "decided_by.json").read_text())

    named = json.loads(json.dumps(validation_decided_by(validation)))
    assert (named["engine"], named["versions"]) == (entry["engine"], entry["versions"])


def open_own(
    policy_path: str,
    said: Annotated[int, Decides("samples")] = 0,
    patience: Annotated[int, Harmless] = 1,
    unsaid: int = 0,
) -> Iterator[None]:
    """An engine of a user's own: what it does not declare decides."""
    yield None


def test_defaults_of_training_are_harmless_only_where_that_was_said() -> None:
    harmless = {found.name for found in declared(TrainingParameters()) if found.decides is Harmless}

    assert harmless == {"checkpoint_every_s", "machines"}


def test_a_raised_budget_asks_the_server_for_nothing_again(made: Made) -> None:
    asked = draws.training_draw(made.questions, made.prompts, made.parameters.sampling, iteration=1)
    journal = Journal(made.folder / "served")
    with serving() as server:
        options = {"base_url": server.url, "model": "echo"}
        n_requests = []
        for dear in ({"max_tokens_budget": 10_000}, {"max_tokens_budget": 20_000, "concurrency": 1, "timeout_s": 9.0}):
            choice = EngineChoice("openai", options | dear, True, questions_per_shard=4)
            draw_samples([asked], made.base, choice=choice, journal=journal, experiment_seed=0)
            n_requests.append(len(server.bodies))

    assert n_requests[0] == n_requests[1] > 0

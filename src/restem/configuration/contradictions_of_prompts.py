"""Parameters that contradict one another, of how a question is put and what stands between it and the answer."""

from collections.abc import Iterator

from restem.engines.file import NAME as FILE
from restem.parameters import Parameters, PromptParameters, QuestionsParameters, SamplingParameters
from restem.sampling.room import lengths_of_completions

PROMPT_STYLES = ("few_shot", "zero_shot", "chat")
Rule = tuple[bool, str]  # whether it holds, and what to say where it does not


def rules_of_prompts(parameters: Parameters) -> list[Rule]:
    """Return rules for how questions are put, everywhere and in suites that want it otherwise."""
    prompt, questions = parameters.prompt, parameters.questions
    twice = [problem for path, own in _put_to_a_server(parameters) for problem in _of_a_server(path, own)]
    return [
        *(rule for path, own in _prompts(prompt).items() for rule in _rules_of_prompt(path, own)),
        (
            prompt.style != "few_shot" or questions.n_exemplars > 0 or is_of_ones_own(questions),
            "questions.n_exemplars must be at least 1 for prompt.style=few_shot, got 0; "
            "to show none, set prompt.style=zero_shot",
        ),
        (
            all((of_suite.style == "chat") == (prompt.style == "chat") for of_suite in prompt.of_suite.values()),
            "prompt.of_suite: either all suites have prompt.style=chat, or none",
        ),
        *((False, problem) for problem in twice),
    ]


def is_of_ones_own(questions: QuestionsParameters) -> bool:
    """Return whether the questions say themselves which split they are of."""
    return questions.source == "file" or ":" in questions.source


def rules_of_reasoning(parameters: Parameters) -> list[Rule]:
    """Return rules for reasoning that an engine is to close."""
    reasoning, of_suite = parameters.sampling.reasoning, parameters.evaluation.of_suite
    if reasoning is None:
        return []
    begin, end, path = reasoning.open, reasoning.close, "sampling.reasoning"
    stops = {"sampling.stop": parameters.sampling.stop} | {
        f"evaluation.of_suite.{name}.stop": own.stop or [] for name, own in of_suite.items()
    }
    return [
        *(
            (
                reasoning.budget < length,
                f"{path}.budget must be less than {name} = {length}, within which the answer follows, got "
                f"{reasoning.budget}",
            )
            for name, length in lengths_of_completions(parameters).items()
        ),
        (
            begin not in end and end not in begin,
            f"{path}.open and {path}.close must be two marks, neither of which holds the other, got {begin!r} and "
            f"{end!r}",
        ),
        *(
            (
                not any(stop in mark for mark in (begin, end)),
                f"{name} holds {stop!r}, which is in a mark of {path}, so that every completion would end there",
            )
            for name, texts in stops.items()
            for stop in texts
        ),
        (
            not _is_put_to_a_server(parameters.sampling),
            f"{path} goes on behind what a policy has said, and behind sampling.engine_options.endpoint=chat an answer "
            "is always begun anew: ask with endpoint=completions, or let the server limit its reasoning",
        ),
    ]


def _put_to_a_server(parameters: Parameters) -> list[tuple[str, PromptParameters]]:
    """Return how questions are put to a server that writes its own chat template around them, by dotted path."""
    return list(_prompts(parameters.prompt).items()) if _is_put_to_a_server(parameters.sampling) else []


def _is_put_to_a_server(sampling: SamplingParameters) -> bool:
    options = sampling.engine_options
    draws = options.get("evaluate_with") if sampling.engine == FILE else sampling.engine
    return draws == "openai" and options.get("endpoint") == "chat"


def _of_a_server(path: str, prompt: PromptParameters) -> Iterator[str]:
    if prompt.style == "chat":
        yield (
            f"{path}.style=chat writes the chat template, and sampling.engine_options.endpoint=chat lets the server "
            "write it again around that: ask with endpoint=completions, or let the server do it, with "
            "prompt.style=zero_shot"
        )
    if prompt.prefill:
        yield (
            f"{path}.prefill begins the answer, and behind sampling.engine_options.endpoint=chat the server begins it: "
            "ask with endpoint=completions"
        )


def _prompts(prompt: PromptParameters) -> dict[str, PromptParameters]:
    """Return how questions are put, by dotted path: everywhere, and for suites that want it otherwise."""
    return {"prompt": prompt} | {f"prompt.of_suite.{suite}": own for suite, own in prompt.of_suite.items()}


def _rules_of_prompt(path: str, prompt: PromptParameters) -> list[Rule]:
    return [
        (
            ":" in prompt.style or prompt.style in PROMPT_STYLES,
            f"{path}.style must be one of {', '.join(PROMPT_STYLES)}, or a dotted path like "
            f"my_pkg.my_module:my_prompt, got {prompt.style!r}",
        ),
        (
            ":" in prompt.style or "{question}" in prompt.template,
            f"{path}.template must hold {{question}}, in whose place a question is put, got {prompt.template!r}",
        ),
        (not prompt.of_suite or path == "prompt", f"{path}.of_suite: a suite has no suites"),
        (
            not prompt.template_options or prompt.style == "chat",
            f"{path}.template_options is read by chat templates, and {path}.style={prompt.style} uses none: set "
            f"{path}.style=chat",
        ),
        (
            prompt.system is None or prompt.style == "chat",
            f"{path}.system is a turn of a chat, and {path}.style={prompt.style} writes none: set {path}.style=chat, "
            f"or say it in {path}.instruction",
        ),
    ]

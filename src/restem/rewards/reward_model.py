"""The score of a reward model: a sequence classifier of transformers, here, on the CPU or the GPU.

Source: what ReST (Gulcehre et al. 2023, https://arxiv.org/abs/2308.08998) and RAFT (Dong et al. 2023,
https://arxiv.org/abs/2304.06767) filter by. It is an opinion: reports say of every number that rests on it whose.

Options:

- model: a folder that `save_pretrained` of a sequence classifier wrote, its tokenizer beside it, or a model of the
  Hugging Face hub pinned to a commit, OWNER/NAME@COMMIT. Weights are read from safetensors, and no code of the folder
  runs.
- input: "pair" (default) gives the classifier the question and the completion as two segments; "chat" as a user's and
  an assistant's turn in its tokenizer's chat template; any text with {question} and {completion} is a template.
- label: whose probability is the score, by number or name, of a classifier with several labels. With a single label
  the score is the logistic function of its logit.
- threshold: null (default) gives the score itself, in [0, 1]: lower filtering.min_reward, or choose=best; a number
  gives 1 to scores of at least that, else 0.
- batch_size (16): texts at once. device: null is the GPU if there is one.

Arithmetic is float32, and scores are rounded down to 4 digits, so that the same completions earn the same in every
order. A text beyond the model's window is not cut: its completion is `unparseable_answer`. One that holds a special
token of the tokenizer, by which it could end its turn and praise itself, is `forbidden`.
timeout_s and workers have no part in it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from restem.engines.arithmetic import fastest_device
from restem.engines.context import context_window_of
from restem.engines.loading import quiet
from restem.errors import RewardError
from restem.parameters.decides import Decides
from restem.rewards.base import Judge, Task
from restem.rewards.verdicts import Answer, Gold, Verdict, refused
from restem.schemas import CORRECT
from restem.store.fingerprints import folder_fingerprint

if TYPE_CHECKING:
    pass

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[\w.-]+)@(?P<commit>[0-9a-f]{40})")
_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_PLACES = re.compile(r"\{(question|completion)\}")
_SAFE = {"local_files_only": True, "trust_remote_code": False}
_DIGITS = 10_000  # scores are rounded down to a multiple of 1 / this
_ALIKE = 1e-3  # logits of a row alone and of the same row padded


class ScoreJudge(Judge):
    """Which model to ask, and how."""

    sees_question = True

    def __init__(  # noqa: PLR0913 - one argument per option
        self,
        *,
        model: Annotated[str, Decides("verdicts")] = "",
        input: Annotated[str, Decides("verdicts")] = "pair",
        label: Annotated[int | str | None, Decides("verdicts")] = None,
        threshold: Annotated[float | None, Decides("verdicts")] = None,
        batch_size: Annotated[int, Decides("verdicts")] = 16,
        device: Annotated[str | None, Decides("verdicts")] = None,
    ) -> None:
        """Check the options; the module's docstring explains them. Nothing is loaded yet."""
        if input not in {"pair", "chat"} and set(_PLACES.findall(input)) != {"question", "completion"}:
            raise ValueError(f"input must be pair, chat, or a text with {{question}} and {{completion}}, got {input!r}")
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must be above 0 and at most 1, or null, got {threshold!r}")
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
        self.folder = _folder_of(model)
        self.label = _label_number(self.folder, label)
        self.input, self.threshold, self.batch_size = input, threshold, batch_size
        self.device = device or fastest_device()

    @classmethod
    def opinion_of(cls, options: Mapping[str, Any]) -> str:
        """Return whose opinion a verdict is."""
        return f"the score of the reward model {options.get('model')}"

    def determined_by(self) -> Mapping[str, Any]:
        """Return what the weights are, and where they are computed."""
        from importlib.metadata import version

        libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers")}
        return {"model": folder_fingerprint(self.folder), "device": self.device.partition(":")[0], **libraries}

    def pool(self) -> "Scores":
        """Return where verdicts are made: in this process, many at once."""
        return Scores(self)

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the completion, all of which is judged."""
        return Answer(completion, "reward model") if completion.strip() else None

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return the verdict on one completion."""
        pool = self.pool()
        try:
            (verdict,) = pool.run([Task(subject, answer, str(subject.get("question_id", "?")))])
        finally:
            pool.close()
        return verdict

    def verdict(self, logits: Sequence[float]) -> Verdict:
        """Return the verdict that a model's logits stand for.

        Raises:
            RewardError: If they are no numbers.
        """
        if not all(map(math.isfinite, logits)):
            raise RewardError(f"the reward model in {self.folder} gave {list(logits)}: it is broken")
        if len(logits) == 1:
            share = 1 / (1 + math.exp(-max(-700.0, logits[0])))
        else:
            share = 1 / math.fsum(math.exp(min(700.0, logit - logits[self.label])) for logit in logits)
        score = math.floor(share * _DIGITS) / _DIGITS
        reward = score if self.threshold is None else float(score >= self.threshold)
        return Verdict(reward, "correct" if reward >= CORRECT else "wrong", None)


class Scores:
    """A model in memory, from the first task until it is closed."""

    def __init__(self, judge: ScoreJudge) -> None:
        """Describe it."""
        self._judge = judge
        self._loaded: _Classifier | None = None

    def run(self, tasks: Sequence[Task]) -> list[Verdict]:
        """Return one verdict per task, in order.

        Raises:
            RewardError: If the model cannot be read, or gives no numbers.
        """
        if not tasks:
            return []
        self._loaded = model = self._loaded or _Classifier(self._judge)
        verdicts: dict[int, Verdict] = {}
        rows: dict[int, list[int]] = {}
        for index, task in enumerate(tasks):
            if model.marks is not None and model.marks.search(task.answer):
                verdicts[index] = refused("forbidden", None)
                continue
            rows[index] = model.encode(str(task.subject.get("text", "")), task.answer)
            if model.window is not None and len(rows[index]) > model.window:
                verdicts[index] = refused("unparseable_answer", None)
                del rows[index]
        for index, logits in model.logits(rows):
            verdicts[index] = self._judge.verdict(logits)
        return [verdicts[index] for index in range(len(tasks))]

    def close(self) -> None:
        """Free the model's memory."""
        self._loaded = None


class _Classifier:
    """The model and its tokenizer."""

    def __init__(self, judge: ScoreJudge) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._judge = judge
        asked = f"scoring.options.reward_model.model: {judge.folder}"
        try:
            with quiet():
                self._tokenizer = AutoTokenizer.from_pretrained(judge.folder, **_SAFE)
                model, found = AutoModelForSequenceClassification.from_pretrained(
                    judge.folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **_SAFE
                )
        except Exception as error:  # whatever a broken folder makes the libraries raise
            raise RewardError(f"{asked} cannot be read as a sequence classifier: {error}") from error
        if found["missing_keys"]:
            lacking = ", ".join(sorted(found["missing_keys"])[:3])
            raise RewardError(f"{asked} is no trained classifier: it lacks {lacking}, which would be random numbers")
        self._model = model.to(judge.device).eval().requires_grad_(False)
        self.window = context_window_of(judge.folder)
        marks = [re.escape(mark) for mark in self._tokenizer.all_special_tokens if mark.strip()]
        self.marks = re.compile("|".join(marks)) if marks else None
        self._pad: int | None = self._tokenizer.pad_token_id
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self._pad
        self._pads = self._pad is not None and self._can_pad()

    def encode(self, question: str, completion: str) -> list[int]:
        """Return the tokens that the model reads; what a question or a completion holds is never put in twice."""
        said = {"question": question, "completion": completion}
        if self._judge.input == "pair":
            return list(self._tokenizer(question, completion)["input_ids"])
        if self._judge.input != "chat":
            return list(self._tokenizer(_PLACES.sub(lambda place: said[place[1]], self._judge.input))["input_ids"])
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": completion}]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def logits(self, rows: Mapping[int, list[int]]) -> Iterator[tuple[int, list[float]]]:
        """Yield the logits of every row with its number; short rows come first."""
        order = sorted(rows, key=lambda index: (len(rows[index]), rows[index]))
        while order:
            longest = len(rows[order[0]])
            fits = [index for index in order[: self._judge.batch_size] if self._pads or len(rows[index]) == longest]
            order = order[len(fits) :]
            yield from zip(fits, self._forward([rows[index] for index in fits]), strict=True)

    def _forward(self, batch: Sequence[list[int]]) -> list[list[float]]:
        import torch

        longest = max(map(len, batch))
        shape = (len(batch), longest)
        ids: torch.Tensor = torch.full(shape, self._pad or 0)
        seen: torch.Tensor = torch.zeros(shape, dtype=torch.long)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            seen[row, : len(tokens)] = 1
        device = self._model.device
        with torch.inference_mode():
            logits = self._model(input_ids=ids.to(device), attention_mask=seen.to(device)).logits
        found: list[list[float]] = logits.double().tolist()
        return found

    def _can_pad(self) -> bool:
        """Return whether a row has the logits beside a longer one that it has alone; else batches have one length."""
        short, long = self.encode("What is 1 + 1?", "2"), self.encode("What is 1 + 1?", "It is 2, as 1 + 1 = 2.")
        (alone,), (beside, _) = self._forward([short]), self._forward([short, long])
        return all(math.isclose(one, other, abs_tol=_ALIKE) for one, other in zip(alone, beside, strict=True))


def _folder_of(model: str) -> Path:
    """Return the folder of a classifier.

    Raises:
        ValueError: If there is none.
    """
    folder = Path(model).expanduser()
    pinned = _PINNED.fullmatch(model)
    if not model or (not folder.is_dir() and pinned is None):
        raise ValueError(
            f"model must be a folder, or of the hub pinned to a commit of 40 digits, OWNER/NAME@COMMIT, got {model!r}"
        )
    if not folder.is_dir() and pinned is not None:
        folder = _from_hub(pinned)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ValueError(f"model: {folder} must hold config.json and *.safetensors, as save_pretrained writes them")
    return folder


def _from_hub(pinned: re.Match[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(pinned["name"], revision=pinned["commit"], allow_patterns=_FILES, ignore_patterns=["*/*"])
        )
    except Exception as error:  # the hub client raises errors of its HTTP library, of requests timing out, of disks
        raise ValueError(
            f"model {pinned[0]!r} could not be had from huggingface.co ({type(error).__name__}: {error}); "
            "download it elsewhere and give its folder"
        ) from error


def _label_number(folder: Path, label: int | str | None) -> int:
    """Return which logit is the score's.

    Raises:
        ValueError: If that is not clear.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = {int(number): str(name) for number, name in (config.get("id2label") or {0: "", 1: ""}).items()}
    if label is None and len(names) == 1:
        return 0
    found = [number for number, name in names.items() if label in (number, name) and not isinstance(label, bool)]
    if len(found) != 1:
        known = ", ".join(f"{number} ({name})" for number, name in sorted(names.items()))
        raise ValueError(f"label must name one of the model's labels, {known}, got {label!r}")
    return found[0]

"""One iteration as a user would write it in an afternoon: `generate`, math-verify in a loop, TRL's SFTTrainer.

    python benchmarks/plain_script.py REQUEST.json

The request has the policy's folder, the prompts with their golds, and the numbers of the experiment. Nothing is
resumed, journaled, shared or checked. Prints its seconds by stage as JSON.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH = 64  # rows at once; the fastest of 16, 32, 64, 128 in benchmarks/sampling.py


def main() -> None:
    """Sample, verify, keep, train, evaluate."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        drawn = sample(asked["policy"], asked["train"], asked["sampling"], asked["sampling"]["n"])
        seconds["sample"] = time.perf_counter() - start

        start = time.perf_counter()
        rows = keep(asked["train"], drawn, asked["max_per_question"])
        seconds["verify"] = time.perf_counter() - start

        start = time.perf_counter()
        train(asked["policy"], rows, asked["training"], folder)
        seconds["train"] = time.perf_counter() - start

        start = time.perf_counter()
        evaluation = asked["evaluation"]
        greedy = sample(folder, asked["test"], {**evaluation, "temperature": 0.0}, 1)
        sampled = sample(folder, asked["test"], evaluation, evaluation["n"])
        shares = [share_correct(asked["test"], completions) for completions in (greedy, sampled)]
        seconds["evaluate"] = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "n_rows": len(rows), "greedy": shares[0], "pass_at_1": shares[1]}))


def sample(policy: str, questions: list[dict[str, str]], decoding: dict[str, Any], n: int) -> list[list[str]]:
    """Return n completions of each question."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(policy, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=getattr(torch, decoding["dtype"])).to(device).eval()
    filters = {name: decoding[name] for name in ("temperature", "top_k", "top_p")}
    how = {"do_sample": True, **filters} if decoding["temperature"] else {"do_sample": False}
    drawn = []
    per_batch = max(1, BATCH // n)
    for start in range(0, len(questions), per_batch):
        prompts = [question["prompt"] for question in questions[start : start + per_batch]]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True).to(device)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                **how,
                num_return_sequences=n,
                max_new_tokens=decoding["max_new_tokens"],
                stop_strings=decoding["stop"],
                tokenizer=tokenizer,
            )
        texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        drawn += [texts[first : first + n] for first in range(0, len(texts), n)]
    return drawn


def is_correct(completion: str, gold: str) -> bool:
    """Return whether the completion's answer is the gold."""
    from math_verify import parse, verify

    return bool(verify(parse(gold), parse(completion)))


def keep(questions: list[dict[str, str]], drawn: list[list[str]], most: int) -> list[dict[str, str]]:
    """Return distinct correct completions, at most so many of a question, as TRL reads them."""
    rows = []
    for question, completions in zip(questions, drawn, strict=True):
        correct = sorted({text for text in completions if is_correct(text, question["gold"])})
        chosen = random.Random(0).sample(correct, min(most, len(correct)))
        rows += [{"prompt": question["prompt"], "completion": text} for text in chosen]
    return rows


def train(policy: str, rows: list[dict[str, str]], training: dict[str, Any], output: str) -> None:
    """Fine-tune with TRL's defaults, but for what the experiment says."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=output,
        num_train_epochs=training["epochs"],
        learning_rate=training["learning_rate"],
        per_device_train_batch_size=training["batch_size"],
        use_cpu=not torch.cuda.is_available(),
        report_to="none",
        save_strategy="no",
    )
    trainer = SFTTrainer(model=policy, args=config, train_dataset=Dataset.from_list(rows))
    trainer.train()
    trainer.save_model(output)


def share_correct(questions: list[dict[str, str]], drawn: list[list[str]]) -> float:
    """Return the share of correct completions."""
    verdicts = [
        is_correct(text, question["gold"])
        for question, completions in zip(questions, drawn, strict=True)
        for text in completions
    ]
    return sum(verdicts) / len(verdicts)


if __name__ == "__main__":
    main()

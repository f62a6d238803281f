"""Two small experiments whose samples are planted, as catalogs of tables in shards: what is read of them is known."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from restem.evaluation.solved_and_lost import ANSWER_COLUMNS
from restem.schemas import check
from restem.scoring.audit import COLUMNS, SECOND
from restem.scoring.marks import Mark
from restem.store.tables import ShardedTable, write_shard
from restem.viewing.index import build_index
from restem.viewing.library import Library
from restem.viewing.notes import Notes
from restem.viewing.source import Source
from tests.builders import checked

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> ${hacked} 1/2"
UNSEEN = "the answer is \u202e21\u202c\u200b \u4e09\u4e2a\u82f9\u679c Cr\u00e8me"
COMPLETIONS = {  # of the E-step, by question: completion, reward, reason, how it ended
    "train-1": [
        ("one 4", 1.0, "correct", "stop"),
        ("one 4", 1.0, "correct", "stop"),
        ("two 4", 1.0, "correct", "stop"),
        ("three 4", 1.0, "correct", "stop"),
        ("cut 4", 1.0, "correct", "length"),
        ("a 5", 0.0, "wrong", "stop"),
    ],
    "train-2": [(HOSTILE, 0.0, "no_answer", "stop"), (UNSEEN, 0.5, "wrong", "stop")],
}
FATES = {"train-1": ["kept", "repeated", "kept", "over_cap", "truncated", "below_min_reward"]}
GREEDY = {0: {"test-1": 0.0, "test-2": 1.0}, 1: {"test-1": 1.0, "test-2": 0.0}}  # rewards, by iteration


class Policy(NamedTuple):
    fingerprint: str


class Tables(dict[str, Any]):
    """A catalog of what is in memory or in shards."""

    def exists(self, ds_name: str) -> bool:
        return ds_name in self

    def load(self, name: str) -> Any:
        return self[name]

    def save(self, name: str, data: Any) -> None:
        self[name] = data


class Kept:
    """Marks in memory."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.is_writable = True

    def load(self) -> list[Mark]:
        return list(self.marks)

    def save(self, data: Any) -> None:
        self.marks += data


def sample(question_id: str, index: int, said: tuple[str, float, str, str], **changed: Any) -> dict[str, Any]:
    completion, reward, reason, finish = said
    usual = {
        "policy_id": "policy0",
        "question_id": question_id,
        "suite": "train",
        "decoding": "sampled",
        "sample_index": index,
        "prompt_id": "p",
        "completion": completion,
        "n_tokens": len(completion),
        "finish_reason": finish,
        "seed": 0,
        "reward": reward,
        "reason": reason,
        "answer": completion.split()[-1] if completion else None,
        "found_by": "last number",
        "reward_version": "math-0",
        "seconds": 0.0,
        "log_probability": -1.25,
    }
    return {**usual, **changed}


def sharded(rows: list[dict[str, Any]], file: Path, schema: str) -> ShardedTable:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_shard(check(schema, pd.DataFrame(rows)), file)
    return ShardedTable([file])


def questions(**texts: str) -> pd.DataFrame:
    ids = ["train-1", "train-2", "test-1", "test-2", "left-out"]
    rows = [
        {
            "question_id": name,
            "text": texts.get(name.replace("-", "_"), f"What is {name}?"),
            "gold": json.dumps({"answer": "4"}),
            "reward": "math",
            "level": "easy" if name.endswith("1") else "hard",
            "source": "made",
            "split": name.split("-")[0] if name != "left-out" else "train",
            "licence": "",
        }
        for name in ids
    ]
    return check("questions", pd.DataFrame(rows))


def tables(folder: Path, **texts: str) -> Tables:
    """Return an experiment of one iteration."""
    asked = questions(**texts)
    made = Tables(candidate_questions=asked, questions=asked[asked["question_id"] != "left-out"])
    made["quarantined_questions"] = pd.DataFrame({"question_id": ["left-out"], "reason": ["unparseable_gold"]})
    made["near_duplicates"] = pd.DataFrame({"question_id": [], "same_as": []})
    made["prompts"] = pd.DataFrame(
        {"question_id": asked["question_id"], "prompt_id": "p", "prompt": "Think. " + asked["text"]}
    )
    drawn = [sample(name, i, said) for name, all_said in COMPLETIONS.items() for i, said in enumerate(all_said)]
    made["iteration_1.scored_samples"] = sharded(drawn, folder / "scored.parquet", "scored_samples")
    kept = [row for row in drawn if row["question_id"] == "train-1" and row["sample_index"] in (0, 2)]
    learned = [{**row, "prompt": "p", "weight": 1.0, "rank": i + 1} for i, row in enumerate(kept)]
    made["iteration_1.training_set"] = sharded(learned, folder / "kept.parquet", "training_set")
    doubt = dict.fromkeys(COLUMNS, "") | {"check": SECOND, "reward": "second", "agrees": "no", "found": "wrong: 5"}
    made["iteration_1.reward_audit"] = pd.DataFrame([doubt | {"question_id": "train-1", "sample_index": 3}])
    for i, rewards in GREEDY.items():
        made[f"policy_{i}"] = Policy(f"policy{i}")
        rows = [
            sample(
                name,
                0,
                (f"greedy {'4' if reward else '5'} of {i}", reward, "correct" if reward else "wrong", "stop"),
                policy_id=f"policy{i}",
                suite="test",
                decoding=decoding,
            )
            for name, reward in rewards.items()
            for decoding in ("greedy", "sampled")
        ]
        made[f"iteration_{i}.scored_evaluation_samples"] = sharded(rows, folder / f"{i}.parquet", "scored_samples")
        made[f"greedy_answers_{i}"] = pd.DataFrame([row for row in rows if row["decoding"] == "greedy"])[ANSWER_COLUMNS]
    return made


def source(folder: Path, name: str = "planted", **texts: str) -> Source:
    return Source(tables(folder / name, **texts), checked(experiment=name, filtering={"max_per_question": 2}))


def opened(folder: Path, *sources: Source) -> tuple[Library, Notes, dict[str, Kept]]:
    """Return the index of experiments, and their marks."""
    build_index(sources, folder / "index.sqlite")
    return read(folder / "index.sqlite")


def read(index: Path) -> tuple[Library, Notes, dict[str, Kept]]:
    """Return what an index holds, and that nobody said anything yet."""
    library = Library(index)
    stores = {each["name"]: Kept() for each in library.about["experiments"]}
    return library, Notes(library, stores), stores

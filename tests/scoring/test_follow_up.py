import json
from pathlib import Path
from typing import Any

import pandas as pd

from restem.parameters import FollowUpParameters, PromptParameters, SamplingParameters, ScoringParameters
from restem.policies.policy import Policy
from restem.sampling.draws import engine_choice, training_draw, training_questions, who_samples
from restem.sampling.prompts import render_prompts
from restem.sampling.sampler import draw_samples
from restem.scoring.follow_up import Rounds, follow_up_samples
from restem.scoring.verdicts import score_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable

SCORING = ScoringParameters(workers=1)
PROMPT = PromptParameters(style="zero_shot", template="{question}\nA:")
HINT = "(The answer is {answer}.)"


def questions(n: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(n)],
            "text": [f"Question {i}?" for i in range(n)],
            "gold": [json.dumps({"answer": str(i)}) for i in range(n)],
            "reward": "exact",
            "level": "",
            "source": "made",
            "split": "train",
            "licence": "",
        }
    )


class Round:
    """One E-step with a scripted engine, and its further rounds."""

    def __init__(self, folder: Path, base: Policy, answers: dict[str, list[str]], **sampling: Any) -> None:
        self.questions = questions()
        self.prompts = render_prompts(self.questions, base, PROMPT)
        engine = {"engine": "scripted", "engine_options": {"answers": answers, "default": ["wrong"]}}
        self.sampling = SamplingParameters(
            **{"n": 4, "max_new_tokens": 8, "questions_per_shard": 2, **engine, **sampling}
        )
        self.journal = Journal(folder)
        self.policy = base
        self.choice = engine_choice(self.sampling, PROMPT)

    def first(self) -> ShardedTable:
        draw = training_draw(self.questions, self.prompts, self.sampling, iteration=1)
        samples = draw_samples([draw], self.policy, choice=self.choice, journal=self.journal, experiment_seed=0)
        return score_samples(samples, self.questions, parameters=SCORING, journal=self.journal)

    def further(self) -> ShardedTable:
        return follow_up_samples(
            self.first(),
            self.prompts,
            self.policy,
            Rounds(
                questions=self.questions,
                sampling=self.sampling,
                prompt=PROMPT,
                scoring=SCORING,
                iteration=1,
                seed=0,
                journal=self.journal,
            ),
        )


def test_no_rounds_are_drawn_unless_asked_for(tmp_path: Path, base: Policy) -> None:
    assert len(Round(tmp_path, base, {}).further()) == 0


def test_hint_is_given_where_nothing_was_correct_and_only_there(tmp_path: Path, base: Policy) -> None:
    script = {"Question 0": ["0"], "answer is 1": ["1"], "answer is 2": ["no"]}
    e_step = Round(tmp_path, base, script, n=1, temperature=0.0, follow_up=FollowUpParameters(rounds=1, hint=HINT))

    found = e_step.further().to_pandas()

    assert found[["question_id", "completion", "reward"]].to_numpy().tolist() == [["q1", "1", 1.0], ["q2", "no", 0.0]]
    own = dict(zip(e_step.prompts["question_id"], e_step.prompts["prompt_id"], strict=True))
    assert all(row.prompt_id != own[row.question_id] for row in found.itertuples())


def test_rounds_go_on_until_enough_are_correct_or_the_budget_ends(tmp_path: Path, base: Policy) -> None:
    script = {"Question 0": ["0"], "Question 1": ["1", "no"]}
    e_step = Round(tmp_path, base, script, follow_up=FollowUpParameters(rounds=3, until_correct=4))

    found = e_step.further().to_pandas()
    drawn = found.groupby("question_id").size().to_dict()

    assert "q0" not in drawn
    assert 4 <= drawn["q1"] <= 12
    assert drawn["q2"] == 12


def test_further_samples_have_indices_of_their_own(tmp_path: Path, base: Policy) -> None:
    e_step = Round(tmp_path, base, {}, follow_up=FollowUpParameters(rounds=2))

    indices = e_step.further().to_pandas().groupby("question_id")["sample_index"].apply(list)

    assert all(sorted(of_question) == list(range(4, 12)) for of_question in indices)


def test_rounds_that_were_drawn_are_not_drawn_again(tmp_path: Path, base: Policy) -> None:
    e_step = Round(tmp_path, base, {}, follow_up=FollowUpParameters(rounds=2))

    assert e_step.further().files == e_step.further().files


def test_every_training_question_is_asked_before_any_is_asked_again() -> None:
    sampling = SamplingParameters(n_questions=4)

    asked = [training_questions(questions(10), sampling, iteration=i) for i in (1, 2, 3)]

    assert [len(of_one) for of_one in asked] == [4, 4, 4]
    assert set(asked[0] + asked[1] + asked[2]) == {f"q{i}" for i in range(10)}


def test_teacher_samples_unless_it_is_the_base_policy(base: Policy) -> None:
    trained = Policy(path="x", fingerprint="t", iteration=1, name="x", base=base.fingerprint, parent=base.fingerprint)
    teacher = Policy(path="y", fingerprint="teacher", iteration=0, name="y", base="teacher")

    assert who_samples(trained, base) == trained
    assert who_samples(trained, teacher) == teacher

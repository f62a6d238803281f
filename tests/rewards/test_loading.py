import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import restem
from restem.errors import RewardError
from restem.rewards import Verdict, deciding_reward_options, load_reward, opinions
from restem.rewards.scoring import code_digest, sources_of


def test_an_unknown_reward_names_the_known_ones() -> None:
    with pytest.raises(
        RewardError,
        match=r"no reward 'maths'; known are all_of, code, exact, format, judge, majority, math, ",
    ):
        load_reward("maths")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exact", {"kind": "nmber"}),
        ("exact", {"extract": "middle"}),
        ("exact", {"knd": 1}),
        ("math", {"box": "second"}),
    ],
)
def test_a_wrong_option_is_refused_when_the_reward_is_loaded(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(RewardError, match=next(iter(options))):
        load_reward(name, **options)


def test_a_function_that_is_not_there_is_refused_when_the_reward_is_loaded() -> None:
    with pytest.raises(RewardError, match="cannot be imported"):
        load_reward("own_rewards:nothing")


def test_the_version_follows_the_options() -> None:
    plain, same, other, slow = (
        load_reward("exact", kind=kind, timeout_s=limit).version
        for kind, limit in [("string", 5.0), ("string", 5.0), ("number", 5.0), ("string", 9.0)]
    )

    assert plain == same
    assert len({plain, other, slow}) == 3
    assert plain.startswith("exact-")


def imported_by(file: Path) -> set[Path]:
    """Return the modules of rewards and questions that a file imports, anywhere in it, and those that they import."""
    root = Path(restem.__file__).parent
    found, waiting = set(), [file]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for node in ast.walk(ast.parse(one.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                ("restem.rewards.", "restem.questions.")
            ):
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
                paths = [root.parent / f"{name.replace('.', '/')}.py" for name in names]
                waiting += [path for path in paths if path.exists()]
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("code", {}),
        ("exact", {}),
        ("format", {"form": "tag"}),
        ("judge", {"base_url": "http://127.0.0.1:1/v1", "model": "m"}),
        ("math", {}),
        ("reasoning_gym", {}),
        ("own_rewards:exact_text", {}),
        ("own_rewards:Digits", {}),
    ],
)
def test_the_version_covers_all_our_code_that_decides(name: str, options: dict[str, Any]) -> None:
    reward: Any = load_reward(name, **options)
    covered = set(sources_of(reward.judge))

    assert imported_by(Path(inspect.getfile(type(reward.judge)))) <= covered
    assert "own_rewards.py" in {source.name for source in covered} or not name.startswith("own")
    assert {"verdicts.py", "scoring.py", "pool.py", "worker.py"} <= {source.name for source in covered}


def test_the_digest_of_code_follows_what_it_does(tmp_path: Path) -> None:
    code = 'from restem.rewards.verdicts import correct\n\ndef f(x):\n    """Add."""\n    return correct(x + 1)\n'
    same = [
        code.replace("Add.", "Return one more."),
        code.replace("    return", "    # for short\n\n    return"),
        code.replace("restem.rewards.verdicts", "restem.rewards.outcomes"),
        code.replace('    """Add."""\n', ""),
    ]
    other = [code.replace("+ 1", "+ 2"), code.replace("correct", "refused"), code + "\nf = abs\n", code + '\nX = "a"\n']

    def digest(number: int, text: str) -> str:
        file = tmp_path / f"module_{number}.py"
        file.write_text(text)
        return code_digest([file])

    digests = [digest(number, text) for number, text in enumerate([code, *same, *other])]
    assert len(set(digests[: 1 + len(same)])) == 1
    assert len(set(digests)) == 1 + len(other)


def test_a_function_of_ones_own_is_given_the_gold_as_a_dict() -> None:
    with load_reward("own_rewards:exact_text") as reward:
        verdicts = reward.score([{"question_id": "q", "gold": '{"answer": "4"}'}] * 2, ["4", "5"])

    assert [tuple(verdict)[:2] for verdict in verdicts] == [(1.0, "correct"), (0.0, "wrong")]


def test_a_judge_of_ones_own_is_a_reward_with_all_that_built_in_ones_have() -> None:
    question = {"question_id": "q", "gold": {"answer": "14"}}
    with load_reward("own_rewards:Digits", modulus=5) as reward:
        verdicts = reward.score([question] * 3, ["it is 1, 9", "13", "none"])

    assert verdicts == [
        Verdict(1.0, "correct", "19", found_by="digits"),
        Verdict(0.0, "wrong", "13", found_by="digits"),
        Verdict(0.0, "no_answer", None),
    ]
    assert reward.gold_completion(question) == "14"
    assert opinions(["own_rewards:Digits", "exact"], {}) == {"own_rewards:Digits": "what is left modulo 10"}
    assert reward.opinion == "what is left modulo 5"


def test_the_version_of_a_judge_of_ones_own_follows_the_options_that_decide() -> None:
    plain, louder, other = (
        load_reward("own_rewards:Digits", **options).version for options in ({}, {"loudness": 3}, {"modulus": 3})
    )

    assert plain == louder != other
    assert deciding_reward_options("own_rewards:Digits", {"loudness": 3, "modulus": 3}) == {"modulus": 3}


def test_a_judge_of_ones_own_that_refuses_its_options_says_why() -> None:
    with pytest.raises(RewardError, match="modulus must be at least 1, got 0"):
        load_reward("own_rewards:Digits", modulus=0)


def test_a_reward_beyond_one_is_a_fault_of_the_reward() -> None:
    with load_reward("own_rewards:too_generous") as reward, pytest.raises(RewardError, match=r"in \[0, 1\], got 2.0"):
        reward.score([{"question_id": "q", "gold": {}}], ["4"])

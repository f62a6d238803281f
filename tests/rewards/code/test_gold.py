# Programs as texts.
# ruff: noqa: E501

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.rewards import Verdict, check_golds, load_reward
from restem.rewards.code import IN_PROCESS
from restem.rewards.code_output import same_output
from tests.rewards.code.conftest import ADD

Judge = Callable[..., Verdict]
RIGHT = "def add(a, b):\n    return a + b\n"
POLY = "def poly(xs, x):\n    return sum(c * x ** i for i, c in enumerate(xs))\n\n\ndef find_zero(xs):\n"


def test_bare_asserts_name_the_function_themselves(judge: Judge) -> None:
    assert judge(RIGHT, tests="assert add(1, 2) == 3").reason == "correct"
    assert judge(RIGHT, tests=["assert add(1, 2) == 3", "assert add(0, 0) == 1"]).reason == "wrong"


def test_a_function_named_like_one_of_pythons_own_is_found(judge: Judge) -> None:
    tests = ["assert sum(10, 15) == 25", "assert sum(0, 1) == 1"]

    assert judge("def sum(a, b):\n    return a + b\n", tests=tests).reason == "correct"
    assert judge("def sum(a, b):\n    return a\n", tests=tests).reason == "wrong"


def test_a_program_cannot_replace_what_the_tests_use_of_python(judge: Judge) -> None:
    tests = "assert set(f()) == set([1, 2])\nassert sorted(f()) == [1, 2]"
    lie = "set = sorted = lambda x: [1, 2]\ndef f():\n    return []\n"

    assert judge(lie, tests=tests).reason == "wrong"
    assert judge("def f():\n    return [2, 1]\n", tests=tests).reason == "correct"


def test_helpers_of_the_trusted_prompt_are_the_tests_own(judge: Judge) -> None:
    tests = "def check(candidate):\n    assert abs(poly([-3, 1], candidate([-3, 1]))) < 1e-6\n"
    gold = {"tests": tests, "entry_point": "find_zero", "prompt": POLY}

    assert judge("    return 3.0\n", **gold).reason == "correct"
    assert judge("    return 2.0\n", **gold).reason == "wrong"
    assert judge("def poly(xs, x):\n    return 0.0\ndef find_zero(xs):\n    return 5.0\n", **gold).reason == "wrong"


def test_helpers_of_the_prompt_are_there_for_the_program_too(judge: Judge) -> None:
    gold = {"tests": "assert area(1) == math.pi", "entry_point": "area", "prompt": "import math\n"}

    assert judge("def area(r):\n    return math.pi * r * r\n", **gold).reason == "correct"


def test_a_prompt_in_prose_is_no_code(judge: Judge) -> None:
    assert judge(RIGHT, **{**ADD, "prompt": "Write a function that adds two numbers."}).reason == "correct"


@pytest.mark.parametrize(
    "gold",
    [
        {},
        {"tests": ""},
        {"tests": "assert add(1, 2) =="},
        {"tests": "add(1, 2)", "entry_point": "add"},
        {"tests": "import no_such_module\nassert add(1, 2) == 3"},
        {"tests": "assert add(1, lambda: 2) == 3"},
        {"tests": 3, "entry_point": "add"},
        {"tests": "assert add(1, 2) == 3", "prompt": "def add(a, b:\n"},
        {"call_tests": [{"args": [1, 2], "expected": 3}]},
        {"call_tests": [{"args": 3}], "entry_point": "add"},
        {"stdin_tests": [{"stdin": "x"}]},
        {"stdin_tests": "x"},
    ],
)
def test_a_gold_that_cannot_be_used_says_so(judge: Judge, gold: dict[str, Any]) -> None:
    assert judge(RIGHT, **(gold or {"x": 1})).reason == "unparseable_gold"


@pytest.mark.parametrize(
    "tests",
    [
        "for case in []:\n    assert add(*case) == 3",
        "def check(candidate):\n    assert True, 'nothing is checked'\n    candidate(1, 2)\n",
        "assert 1 + 1 == 2",
        "def check(candidate):\n    return\n    assert candidate(1, 2) == 3\n",
        "try:\n    assert add(1, 2) == 4\nexcept AssertionError:\n    pass",
    ],
)
def test_at_least_one_check_of_the_program_must_have_passed(judge: Judge, tests: str) -> None:
    assert judge(RIGHT, tests=tests, entry_point="add").reward == 0.0


def test_exceptions_arrive_as_pythons_own(judge: Judge) -> None:
    tests = "try:\n    f(-1)\nexcept ValueError as error:\n    assert error.args == ('negative', -1)\nelse:\n    assert False\n"
    own = "class Mine(ValueError): pass\n"

    assert judge(f"{own}def f(x):\n    raise Mine('negative', x)\n", tests=tests).reason == "correct"
    assert judge("def f(x):\n    raise KeyError('negative', x)\n", tests=tests).reason == "crashed"
    assert judge("def f(x):\n    return 1\n", tests=tests).reason == "wrong"


def test_stop_iteration_does_not_end_a_loop_of_the_tests(judge: Judge) -> None:
    assert judge("def f(x):\n    raise StopIteration\n", tests="assert all(map(f, [1, 2, 3]))").reward == 0.0


PLAIN = [
    "None", "True", "7", "-2 ** 4000", "1.5", "float('inf')", "1 + 2j", "'ü\\ud800\\x00'", "b'\\x00\\xff'",
    "bytearray(b'x')", "[1, [2, (3,)]]", "(1,)", "{1, 2}", "frozenset({(1, 2)})", "{'a': [1], (1, 2): {3}}",
    "range(2, 9, 3)", "__import__('fractions').Fraction(1, 3)", "__import__('decimal').Decimal('1.10')", "int", "''", "{}",
]  # fmt: skip


def test_plain_values_arrive_as_they_are_and_return(judge: Judge) -> None:
    tests = "\n".join(f"assert echo({value}) == {value} and type(echo({value})) is type({value})" for value in PLAIN)

    assert judge("def echo(x):\n    return x\n", tests=tests).reason == "correct"


def test_subclasses_arrive_as_the_plain_type(judge: Judge) -> None:
    program = (
        "from collections import *\nfrom enum import IntEnum\nE = IntEnum('E', 'A')\nP = namedtuple('P', 'x')\n"
        "def f():\n    return [Counter('aa'), defaultdict(list, {1: [2]}), OrderedDict(a=1), E.A, P(3), True]\n"
    )
    tests = "assert f() == [{'a': 2}, {1: [2]}, {'a': 1}, 1, (3,), True]\nassert [type(x) for x in f()][:4] == [dict, dict, dict, int]"

    assert judge(program, tests=tests).reason == "correct"


def test_iterators_and_views_arrive_as_such(judge: Judge) -> None:
    program = "def f(k):\n    d = {1: 2, 3: 4}\n    return [d.keys(), d.values(), d.items(), iter([5, 6]), (i for i in d)][k]\n"
    tests = (
        "assert f(0) == {1, 3}\nassert list(f(1)) == [2, 4]\nassert list(f(2)) == [(1, 2), (3, 4)]\n"
        "assert list(f(3)) == [5, 6]\nassert next(f(4)) == 1\nassert f(3) != [5, 6]"
    )

    assert judge(program, tests=tests).reason == "correct"


def test_an_object_is_as_true_as_it_says_and_nothing_else(judge: Judge) -> None:
    program = "import re\ndef f(s):\n    return re.match('a', s)\n"

    assert judge(program, tests="assert f('ab')\nassert not f('b')").reason == "correct"
    assert judge(program, tests="assert f('ab') is not None").reason == "correct"
    for check in ("f('ab') != 3", "f('ab') == f('ab')", "len(f('ab')) or 1", "f('ab') in [1]", "f(f('ab')) is None"):
        assert judge(program, tests=f"assert {check}").reason == "wrong"


def test_arguments_changed_in_place_are_seen_by_the_tests(judge: Judge) -> None:
    tests = "rows = [[3, 1], [2]]\nfirst = rows[0]\nf(rows)\nassert rows == [[1, 3], [2], [9]] and rows[0] is first"

    assert judge("def f(rows):\n    rows[0].sort()\n    rows.append([9])\n", tests=tests).reason == "correct"


def test_a_function_that_returns_something_does_not_change_the_tests_own_data(judge: Judge) -> None:
    lie = "def f(xs):\n    xs.clear()\n    return []\n"
    gold = {"tests": "xs = [3, 1]\nassert f(xs) == sorted(xs)"}

    assert judge(lie, **gold).reason == "wrong"
    assert judge("def f(xs):\n    xs.sort()\n    return xs\n", **gold).reason == "correct"


def test_in_place_tests_may_look_at_both(judge: Judge) -> None:
    program = "def f(xs):\n    xs[:] = sorted(set(xs))\n    return len(xs)\n"
    gold = {"tests": "xs = [3, 1, 3]\nassert f(xs) == 2 and xs[:2] == [1, 3]"}

    assert judge(program, **gold, in_place=True).reason == "correct"
    assert judge(program, **gold).reason == "wrong"


def test_live_objects_need_tests_in_process_and_the_verdict_says_so(judge: Judge) -> None:
    program = "class Stack:\n    def __init__(self): self.xs = []\n    def push(self, x): self.xs.append(x)\n"
    gold = {"tests": "s = Stack()\ns.push(1)\nassert s.xs == [1]"}

    inside = judge(program, **gold, in_process=True)

    assert (inside.reward, inside.reason) == (1.0, "correct")
    assert inside.answer == IN_PROCESS + program
    assert judge(program, **gold).reward == 0.0
    assert judge(program.replace("append(x)", "append(0)"), **gold, in_process=True).reason == "wrong"
    assert judge("import os\nos._exit(0)\n", **gold, in_process=True).reason == "crashed"
    half = "import os, time\nos.write(3, b'\\x00\\x00\\x00\\x09')\ntime.sleep(100)\n"
    assert judge(half, **gold, in_process=True).reason == "timeout"


CALLS = [{"args": [[1, 2], 1], "expected": [2]}, {"args": [[]], "kwargs": {"k": 0}, "expected": []}]


def test_call_tests_take_tuples_for_lists(judge: Judge) -> None:
    gold = {"call_tests": CALLS, "entry_point": "drop"}

    assert judge("def drop(xs, k):\n    return tuple(xs[k:])\n", **gold).reason == "correct"
    assert judge("class Solution:\n    def drop(self, xs, k):\n        return xs[k:]\n", **gold).reason == "correct"
    assert judge("def drop(xs, k):\n    return xs\n", **gold).reason == "wrong"


def test_call_tests_have_a_tolerance_if_they_ask_for_one(judge: Judge) -> None:
    gold = {"call_tests": [{"args": [3], "expected": [0.333333]}], "entry_point": "f"}

    assert judge("def f(n):\n    return [1 / n]\n", **gold).reason == "wrong"
    assert judge("def f(n):\n    return [1 / n]\n", **gold, tolerance=1e-5).reason == "correct"


SUM = [{"stdin": "2\n1 2\n", "stdout": "3"}, {"stdin": ["1", "5"], "stdout": ["5"]}]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("input()\nprint(sum(map(int, input().split())))", "correct"),
        ("n = int(input())\nprint(sum(map(int, input().split())), '\\n\\n')", "correct"),
        ("import sys\nsys.stdin.readline()\nprint(sum(map(int, sys.stdin.read().split())))\nsys.exit()", "correct"),
        ("import os\nos.write(1, b'3\\n')", "wrong"),
        ("print(3)", "wrong"),
        ("print(sum(map(int, open(0).read().split()[1:])))\nraise SystemExit(3)", "crashed"),
        ("print(sum(map(int, open(0).read().split()[1:])))\n1 / 0", "crashed"),
        ("import os\nos._exit(0)", "wrong"),
        ("while True: input()", "crashed"),
        ("while True: print('x' * 1000)", "forbidden"),
        ("import sys\nsys.stdout.close()\nimport time\ntime.sleep(100)", "timeout"),
        ("print(sum(map(int, open(0).read().split()[1:])), flush=True)\nwhile True: pass", "timeout"),
        ("for fd in range(1, 9):\n    try: open(fd, 'w').write('correct')\n    except OSError: pass", "wrong"),
        ("import os, time\nos.closerange(0, 9)\ntime.sleep(0.05)", "wrong"),
        ("import os, time\nos.closerange(0, 9)\ntime.sleep(9)", "crashed"),
        ("import os\nif os.fork():\n    print(sum(map(int, open(0).read().split()[1:])))", "correct"),
    ],
)
def test_scripts_are_judged_by_what_they_print(judge: Judge, program: str, reason: str) -> None:
    assert judge(program, stdin_tests=SUM).reason == reason


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "same"),
    [
        ("1 2\n", "1 2", 0, True),
        ("1 2  \r\n3\n\n", "1 2\n3", 0, True),
        ("1  2", "1 2", 0, False),
        ("12", "1 2", 0, False),
        ("0.3333", "0.33333", 1e-3, True),
        ("0.3333", "0.33333", 0, False),
        ("yes", "YES", 0, False),
        ("", "", 0, True),
        ("nan", "1", 1e-3, False),
        ("nan", "0.5", 1e-3, False),
        ("1e999", "2e999", 1e-3, False),
        ("inf", "1e999", 1e-3, False),
        ("1_0", "10", 1e-3, False),
        ("\uff110", "10", 1e-3, False),
        ("0.5\n0.25", "0.5 0.25", 1e-3, False),
        ("0.5 0.25", "0.5\n0.25", 1e-3, False),
        ("0.5001 yes", "0.5 yes", 1e-3, True),
        ("0.5001 no", "0.5 yes", 1e-3, False),
        ("1001", "1000", 1e-3, True),
    ],
)
def test_outputs_are_the_same_but_for_space_at_the_ends(
    printed: str, expected: str, tolerance: float, same: bool
) -> None:
    assert same_output(printed, expected, tolerance) is same


@pytest.mark.parametrize(
    ("printed", "expected", "reason"),
    [
        ("0.333333", "0.333333333333", "correct"),
        ("x 0.333333", "x 0.333333333333", "correct"),
        ("0.33333", "0.333333333333", "correct"),
        ("0.3333", "0.333333333333", "wrong"),
        ("1000001", "1000000", "wrong"),
        ("1000001", "1000000.0", "correct"),
        ("2.0", "2", "wrong"),
        ("2", "2.0", "correct"),
        ("0.000000001", "0.0", "correct"),
        ("0.0001", "0.0", "wrong"),
        ("nan", "0.5", "wrong"),
        ("1e999", "1e998", "wrong"),
    ],
)
def test_decimals_are_compared_as_the_authors_of_apps_do_and_whole_numbers_are_not(
    judge: Judge, printed: str, expected: str, reason: str
) -> None:
    tests = [{"stdin": "", "stdout": expected}]

    assert judge(f"print({printed!r})", stdin_tests=tests).reason == reason
    assert judge(f"print({printed!r})", stdin_tests=tests, tolerance=0).reason == "wrong"


@pytest.mark.parametrize("tolerance", [float("nan"), float("inf"), -1e-9, True, "1e-3", [1]])
def test_a_tolerance_that_is_none_is_an_unparseable_gold(judge: Judge, tolerance: object) -> None:
    tests = [{"stdin": "", "stdout": "1"}]

    assert judge("print(1)", stdin_tests=tests, tolerance=tolerance).reason == "unparseable_gold"


def test_all_kinds_of_tests_must_pass(judge: Judge) -> None:
    gold = {**ADD, "stdin_tests": [{"stdin": "", "stdout": "hello"}]}

    assert judge(RIGHT + "print('hello')\n", **gold).reason == "correct"
    assert judge(RIGHT, **gold).reason == "wrong"


def test_a_reference_solution_is_audited() -> None:
    golds = [{**ADD, "solution": RIGHT}, {**ADD, "solution": "def add(a, b):\n    return 0\n"}, ADD]
    questions = [{"question_id": str(n), "reward": "code", "gold": gold} for n, gold in enumerate(golds)]

    with load_reward("code", timeout_s=2.0, workers=1) as reward:
        found = check_golds(questions, open_reward=lambda name: reward)

    assert list(found["question_id"]) == ["1"]
    assert "its own gold earns 0" in found["reason"][0]


@pytest.mark.parametrize(
    "options", [{"memory_mb": 0}, {"memory_gb": 1}, {"run_untrusted_code_without_a_sandbox": "no"}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    from restem.errors import RewardError

    with pytest.raises(RewardError, match=next(iter(options))):
        load_reward("code", **options)


def test_the_command_judges_programs(tmp_path: Path) -> None:
    rows = [{"gold": ADD, "completion": RIGHT}, {"gold": ADD, "completion": "def add(a, b):\n    return 0\n"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))

    result = CliRunner().invoke(restem, ["score", str(file), "--reward", "code", "--option", "memory_mb=256"])

    assert [json.loads(line)["reason"] for line in result.stdout.splitlines()] == ["correct", "wrong"]

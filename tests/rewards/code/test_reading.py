"""What is taken for the program in a completion."""

# Programs as texts.
# ruff: noqa: E501

from collections.abc import Callable

import pytest

from restem.rewards import Verdict
from restem.rewards.code_text import extract_program
from tests.rewards.code.conftest import ADD

PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Return the sum.\n\n    >>> total([1])\n    1\n    """\n'
TOTAL = {
    "tests": "def check(f):\n    assert f([1, 2]) == 3\n    assert f([]) == 0\n",
    "entry_point": "total",
    "prompt": PROMPT,
}
WHOLE = "def total(xs: List[int]) -> int:\n    return sum(xs)\n"
RIGHT = {
    "a continuation": "    return sum(xs)\n",
    "a continuation of several lines": "    n = 0\n    for x in xs:\n        n += x\n    return n\n",
    "a continuation without its first indent": "n = 0\n    for x in xs:\n        n += x\n    return n\n",
    "a body without indent": "n = 0\nfor x in xs:\n    n += x\nreturn n\n",
    "one line without indent": "return sum(xs)",
    "an empty line before": "\n\n    return sum(xs)\n",
    "a continuation and prose": "    return sum(xs)\n\nThis function adds the numbers.\nIt's fast, isn't it?\n",
    "a continuation and another function, cut off": "    return sum(xs)\n\n\ndef main():\n    print(total([1, 2\n",
    "a continuation and a cut string": "    return sum(xs)\n\n\nx = '''abc\n",
    "a continuation and tests of its own": "    return sum(xs)\n\n\nif __name__ == '__main__':\n    import doctest\n"
    "    doctest.testmod()\n",
    "a continuation and a next question": "    return sum(xs)\n\n# Question 2\nWrite a function that\n",
    "a continuation with a helper": "    return helper(xs)\n\n\ndef helper(xs):\n    return sum(xs)\n",
    "the whole function, imports of the prompt": WHOLE,
    "the whole prompt again": PROMPT + "    return sum(xs)\n",
    "the whole function, indented": "".join(f"    {line}\n" for line in WHOLE.splitlines()),
    "prose and the whole function": f"Here is the solution:\n\n{WHOLE}\nIt returns the sum.",
    "a block": f"Sure!\n```python\n{WHOLE}```\nDone.",
    "a block, not marked": f"```\n{WHOLE}```",
    "a block in capitals": f"```Python\n{WHOLE}```",
    "a block of tildes": f"~~~py\n{WHOLE}~~~",
    "a block in a list": "1. Code:\n\n   ```python\n"
    + "".join(f"   {line}\n" for line in WHOLE.splitlines())
    + "   ```\n2. End",
    "a block never closed": f"```python\n{WHOLE}",
    "a block that holds a continuation": "```python\n    return sum(xs)\n```",
    "a block opened by the prompt": "    return sum(xs)\n```\nThis adds. For example:\n```python\ntotal([1])\n```\n",
    "a whole program in a block opened by the prompt": f"{WHOLE}```\nExplained.",
    "a wrong try before": f"```python\ndef total(xs):\n    return 0\n```\nNo. Better:\n```python\n{WHOLE}```",
    "an example after": f"```python\n{WHOLE}```\nUse:\n```python\nprint(total([1, 2]))\n```\nOutput:\n```\n3\n```",
    "a shell block before": f"```bash\npip install x\n```\n```python\n{WHOLE}```",
    "a thought before": f"<think>Maybe ```python\ndef total(xs): return 0\n``` hm</think>\n```python\n{WHOLE}```",
    "tags": f"[PYTHON]\n{WHOLE}[/PYTHON]\nExplained",
    "done": f"[BEGIN]\n{WHOLE}[DONE]",
    "Windows lines in a block": f"```python\r\n{WHOLE}```".replace("\n", "\r\n"),
    "backticks in a docstring": "```python\ndef total(xs):\n    '''Use ```total``` so.'''\n    return sum(xs)\n```",
    "a class around": "```python\nclass Solution:\n    def total(self, xs: List[int]) -> int:\n        return sum(xs)\n```",
}
WRONG = {
    "nothing but the stub": "    pass\n",
    "prose": "I do not know.",
    "another function": "def other(xs):\n    return sum(xs)\n",
    "right in a comment": "    # return sum(xs)\n    return 0\n",
    "right in an earlier block": f"```python\n{WHOLE}```\nor\n```python\ndef total(xs):\n    return 0\n```",
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_program_is_found(judge: Callable[..., Verdict], name: str) -> None:
    assert judge(RIGHT[name], **TOTAL).reason == "correct"


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_there_is_not_found(judge: Callable[..., Verdict], name: str) -> None:
    assert judge(WRONG[name], **TOTAL).reward == 0.0


@pytest.mark.parametrize("completion", ["", "  \n\t\n", "```python\n```", "```python"])
def test_an_empty_completion_is_no_answer(judge: Callable[..., Verdict], completion: str) -> None:
    assert judge(completion, **ADD).reason == "no_answer"


def test_the_answer_is_the_program_that_was_found() -> None:
    assert extract_program("So:\n```python\nx = 1\n```\nEnd", entry_point="") == ("x = 1\n", "block")


def test_of_blocks_in_a_scripts_answer_the_last_python_one_counts() -> None:
    text = "```python\nprint(1)\n```\nthen\n```python\nprint(2)\n```\nInput:\n```\n3\n```\n"

    assert extract_program(text, entry_point="") == ("print(2)\n", "block")

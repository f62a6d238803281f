"""Programs, judged by tests that they cannot reach.

The gold of a question holds one or more of

- tests: Python, a text or a list of lines: bare asserts, or a function check(candidate); with entry_point, the name of
  the function under test, and prompt, trusted code: imports, helpers, the signature to be continued;
- call_tests: [{"args": [...], "kwargs": {...}, "expected": ...}, ...] for entry_point; tuples and lists are the same;
- stdin_tests: [{"stdin": "...", "stdout": "..."}, ...]: the program is run once for each. Space at the end of lines and
  empty lines at the end of the output do not count; a number that is expected with a decimal point or an exponent may
  differ by stdout_tolerance; everything else is compared letter by letter.

And, if needed:

- tolerance: largest relative or absolute difference of all numbers in call_tests and stdin_tests; without it call_tests
  are exact;
- in_place: true if tests look at arguments that the function changes although it returns something;
- in_process: true if tests need live objects. They then run in the program's own process, which can lie about them:
  the verdict's answer begins with a comment that says so;
- solution: a completion that must earn 1, for the audit.

Options:

- memory_mb (1024), disk_mb (64), processes (64), output_mb (16): limits of one run, descendants included.
- stdout_tolerance (1e-5): largest relative difference of decimals in the output of stdin_tests whose gold says nothing
  of tolerance, and with a thousandth of it the largest absolute one: as the harness of APPS's authors compares, with
  numpy's allclose, but never whole numbers, nan or infinity; 0 for none.
  Source: Hendrycks et al. 2021, https://github.com/hendrycks/apps, eval/testing_util.py
- packages: [] by default; names of installed packages, as [numpy], that programs and tests can import, with what these
  need. They are shown read-only, and their versions are part of the reward's.
- run_untrusted_code_without_a_sandbox: false by default. Where the sandbox cannot be had, the reward refuses to work
  unless this is true; then programs run with all the rights of the user.

timeout_s is the limit of one run, in seconds of cpu time, and of the clock while the machine lets the program run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.rewards.base import Judge
from restem.rewards.code_output import is_tolerance, same_output
from restem.rewards.code_text import extract_program
from restem.rewards.sandbox.box import Box
from restem.rewards.sandbox.launch import SANDBOX_NEEDS, SandboxError
from restem.rewards.sandbox.limits import Limits
from restem.rewards.sandbox.packages import find_packages
from restem.rewards.sandbox.runs import Outcome
from restem.rewards.verdicts import Answer, Doubtful, Gold, Verdict, correct, refused

IN_PROCESS = "# judged in its own process, at its word (in_process)\n"
_START_S, _RUN_S, _RUNS_PER_LIMIT = 180.0, 80.0, 22.0  # a worker that takes longer is broken
_NO_ANSWER = "no such answer 90817"


class _Tests(NamedTuple):
    """A gold that can be used."""

    functions: dict[str, Any]  # what the tester needs; empty if all tests are of standard output
    scripts: list[tuple[str, str]]  # standard input and output
    prompt: str
    entry_point: str
    tolerance: float | None  # of standard output; None for the default
    in_process: bool


class CodeJudge(Judge):
    """Runs programs in the sandbox, and their tests out of their reach."""

    holds_limit = True  # and programs have limits of memory of their own
    sources = tuple(
        sorted([*Path(__file__).parent.glob("code*.py"), *Path(__file__).parent.joinpath("sandbox").glob("*.py")])
    )

    def __init__(
        self,
        *,
        timeout_s: float = 5.0,
        packages: Sequence[str] = (),
        stdout_tolerance: float = 1e-5,
        run_untrusted_code_without_a_sandbox: bool = False,
        **limits: int,
    ) -> None:
        """Check the options; the module's docstring explains them."""
        for name, value in limits.items():
            if name not in {"memory_mb", "disk_mb", "processes", "output_mb"}:
                raise TypeError(f"unknown option {name!r}")
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not isinstance(run_untrusted_code_without_a_sandbox, bool):
            raise ValueError("run_untrusted_code_without_a_sandbox must be true or false")
        if not is_tolerance(stdout_tolerance) or stdout_tolerance >= 1:
            raise ValueError(f"stdout_tolerance must be in [0, 1), got {stdout_tolerance!r}")
        self._tolerance = float(stdout_tolerance)
        self._limits = Limits(timeout_s=timeout_s, **limits)
        shown = find_packages(packages)
        self.libraries = shown.distributions
        self._box = Box(self._limits, sandboxed=not run_untrusted_code_without_a_sandbox, packages=shown.paths)

    def prepare(self) -> None:
        """Try the sandbox.

        Raises:
            RewardError: If it cannot be had.
        """
        program = {"text": "print(6 * 7)", "prompt": "", "entry_point": ""}
        try:
            outcome = self._box.run_script(program, "")
        except SandboxError as error:
            raise RewardError(
                f"the sandbox for programs cannot be had: {error}. {SANDBOX_NEEDS}. To run programs "
                "with all your rights instead, set run_untrusted_code_without_a_sandbox"
            ) from error
        finally:
            self._box.close()
        if outcome.output != "42\n":
            raise RewardError(f"the sandbox for programs does not work: a test program came to {outcome!r}")

    def patience_s(self, subject: Mapping[str, Any]) -> float:
        """Return the seconds after which a worker that has not answered is broken."""
        cases = subject.get("stdin_tests")
        n_runs = 1 + (len(cases) if isinstance(cases, list) else 0)
        return _START_S + n_runs * (_RUN_S + _RUNS_PER_LIMIT * self._limits.timeout_s)

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the text that holds the program."""
        return extract_program(completion, entry_point=str(gold.get("entry_point") or ""))

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict | Doubtful:
        """Return whether the program passes all tests."""
        tests = _read(subject)
        if tests is None:
            return refused("unparseable_gold", answer)
        outcome = self._outcome(tests, answer)
        shown = IN_PROCESS + answer if tests.in_process else answer
        verdict = correct(shown) if outcome.reason == "correct" else refused(outcome.reason, shown)
        return Doubtful(verdict) if outcome.is_doubtful else verdict

    def _outcome(self, tests: _Tests, text: str) -> Outcome:
        program = {"text": text, "prompt": tests.prompt, "entry_point": tests.entry_point}
        if tests.functions:
            judge = self._box.judge_itself if tests.in_process else self._box.judge_functions
            outcome = judge(program, tests.functions)
            if outcome.reason != "correct":
                return outcome
        for standard_input, expected in tests.scripts:
            outcome = self._box.run_script(program, standard_input)
            if outcome.reason != "correct":
                return outcome
            if not self._same_output(outcome.output, expected, tests.tolerance):
                return Outcome("wrong")
        return Outcome("correct")

    def _same_output(self, printed: str, expected: str, tolerance: float | None) -> bool:
        if tolerance is None:
            return same_output(printed, expected, self._tolerance, decimals_only=True)
        return same_output(printed, expected, tolerance)

    def form_of(self, gold: Gold) -> str:
        """Return the kinds of tests that the gold has."""
        kinds = [kind for kind in ("tests", "call_tests", "stdin_tests", "in_process") if gold.get(kind)]
        return " and ".join(kinds)

    def gold_completion(self, gold: Gold) -> str | None:
        """Return the reference solution, if the gold has one."""
        solution = gold.get("solution")
        return solution if isinstance(solution, str) else None

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return a program that runs and answers nothing that was asked."""
        tests = _read(gold)
        if tests is None or (tests.functions and not tests.entry_point):
            return None
        lines = [f"print({_NO_ANSWER!r})"]
        if tests.functions:
            name = tests.entry_point.rpartition(".")[2]
            lines = [f"def {name}(*values, **named):", f"    return {_NO_ANSWER!r}"]
        return "\n".join(lines) + "\n"


def _read(gold: Mapping[str, Any]) -> _Tests | None:
    """Return the gold's tests, or None if it has none that can be used."""
    tests, calls, scripts = gold.get("tests") or "", gold.get("call_tests") or [], gold.get("stdin_tests") or []
    prompt, entry_point = gold.get("prompt") or "", gold.get("entry_point") or ""
    tolerance = gold.get("tolerance")
    if isinstance(tests, list) and all(isinstance(line, str) for line in tests):
        tests = "\n".join(tests)
    if not all(isinstance(text, str) for text in (tests, prompt, entry_point)) or not (tests or calls or scripts):
        return None
    if (
        not (tolerance is None or is_tolerance(tolerance))
        or not all(map(_is_call, calls))
        or (calls and not entry_point)
    ):
        return None
    pairs = [_pair(case) for case in scripts] if isinstance(scripts, list) else [None]
    if None in pairs:
        return None
    functions = {
        "tests": tests,
        "call_tests": calls,
        "prompt": prompt,
        "entry_point": entry_point,
        "tolerance": tolerance or 0.0,
        "in_place": gold.get("in_place"),
    }
    return _Tests(
        functions=functions if tests or calls else {},
        scripts=[pair for pair in pairs if pair is not None],
        prompt=prompt,
        entry_point=entry_point,
        tolerance=None if tolerance is None else float(tolerance),
        in_process=bool(gold.get("in_process")) and bool(tests or calls),
    )


def _is_call(case: Any) -> bool:
    if not isinstance(case, Mapping) or "expected" not in case or not isinstance(case.get("args", []), list):
        return False
    return isinstance(case.get("kwargs", {}), Mapping)


def _pair(case: Any) -> tuple[str, str] | None:
    if not isinstance(case, Mapping):
        return None
    texts = []
    for name in ("stdin", "stdout"):
        text = case.get(name, "" if name == "stdin" else None)
        if isinstance(text, list):  # of lines, as some sets have it
            text = "\n".join(map(str, text))
        if not isinstance(text, str):
            return None
        texts.append(text)
    return texts[0], texts[1]

"""The worker's side of the sandbox: programs and tests in, outcomes out."""

from collections.abc import Callable, Mapping
from typing import Any

from restem.rewards.sandbox import runs
from restem.rewards.sandbox.launch import Keeper, SandboxError, SlowEndError
from restem.rewards.sandbox.limits import Limits
from restem.rewards.sandbox.runs import Outcome


class Box:
    """A keeper and what it takes to use it, one program at a time. Started when needed, replaced when it fails."""

    def __init__(self, limits: Limits, *, sandboxed: bool, packages: tuple[str, ...] = ()) -> None:
        """Describe the box; `packages` are files and folders that programs can import from."""
        self._limits, self._sandboxed, self._packages = limits, sandboxed, packages
        self._keeper: Keeper | None = None

    def judge_functions(self, program: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
        """Return the tester's verdict on a program: text, prompt and entry_point.

        Raises:
            SandboxError: If the sandbox fails twice.
        """
        return self._twice(lambda keeper: runs.judge_functions(keeper, {**program, "kind": "functions"}, gold))

    def judge_itself(self, program: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
        """Return the verdict of tests that ran in the program's own process: at its word.

        Raises:
            SandboxError: If the sandbox fails twice.
        """
        return self._twice(lambda keeper: runs.judge_itself(keeper, {**program, "kind": "in_process", "gold": gold}))

    def run_script(self, program: Mapping[str, Any], standard_input: str) -> Outcome:
        """Return how a script ended, and its standard output.

        Raises:
            SandboxError: If the sandbox fails twice.
        """
        return self._twice(lambda keeper: runs.run_script(keeper, {**program, "kind": "script"}, standard_input))

    def _twice(self, use: Callable[[Keeper], Outcome]) -> Outcome:
        for is_last in (False, True):
            try:
                if self._keeper is None:
                    self._keeper = Keeper(self._limits, sandboxed=self._sandboxed, packages=self._packages)
                return use(self._keeper)
            except SlowEndError:  # the program's doing, if it is so again when nothing else runs
                self.close()
                return Outcome("timeout", is_doubtful=True)
            except (SandboxError, OSError) as error:
                self.close()
                if is_last:
                    raise SandboxError(str(error)) from error
        raise SandboxError("unreachable")

    def close(self) -> None:
        """End all processes."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

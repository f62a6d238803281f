"""What is shown while something takes long: on a terminal one line that changes, elsewhere a line now and then.

All of the log is in a file. Whoever runs a pipeline says what step it is at (`begin`), whoever does the work says how
far it is (`live`), and neither knows the other. How far a run is stands in a file too, for `restem status`.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from restem.store.partials import appearing, remove

_LINE_EVERY_S = 30.0
_STATE_EVERY_S = 2.0
_MINUTE_S = 60


class Screen:
    """The terminal of this process, or what stands in its place."""

    def __init__(self) -> None:
        """Start with nothing to show."""
        self._step = ""
        self._state_file: Path | None = None
        self._state: dict[str, Any] = {}
        self._notes: dict[str, list[str]] = {}
        self._is_live = False
        self._tell: Callable[[str, str], None] | None = None
        self._last_line = self._last_state = time.monotonic()

    def open(self, state_file: Path) -> None:
        """Show a run, and keep how far it is in a file."""
        self._state_file, self._state, self._notes = state_file, {"since": time.time()}, {}

    def close(self) -> None:
        """Show no run any more."""
        self.clear()
        if self._state_file is not None:
            remove(self._state_file)
        self._state_file, self._step = None, ""

    def relay(self, tell: Callable[[str, str], None] | None) -> None:
        """Hand on what is live, its title and its state, to who shows it elsewhere; None is to show it here."""
        self._tell = tell

    @property
    def is_open(self) -> bool:
        """Return whether a run is shown."""
        return self._state_file is not None

    def begin(self, step: str, *, doing: str, n_done: int, n_nodes: int) -> None:
        """Say which step it is at, what it does, and how many nodes of the run are done."""
        self._step = step
        self._state |= {"step": step, "state": doing, "n_done": n_done, "n_nodes": n_nodes}
        self._keep_state()
        self._show(f"{step}: {doing}")

    def live(self, title: str, state: str) -> None:
        """Show how far the work is: on a terminal at once, elsewhere every half minute.

        Args:
            title: What is done, where no run says what step this is.
            state: How far it is.
        """
        if self._tell is not None:
            self._tell(title, state)
            return
        if self._state_file is not None and time.monotonic() - self._last_state >= _STATE_EVERY_S:
            self._state["state"] = state
            self._keep_state()
        self._show(f"{self._step or title}: {state}")
        if self._step and not sys.stderr.isatty() and time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self.line(f"  {self._step}: {state}")

    def note(self, text: str) -> None:
        """Remember what the step that it is at came to."""
        self._notes.setdefault(self._step, []).append(text)

    def notes(self, step: str) -> list[str]:
        """Return what a step came to."""
        return self._notes.get(step, [])

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self.clear()
        self._last_line = time.monotonic()
        click.echo(text)

    def clear(self) -> None:
        """Take the line that changes away."""
        if self._is_live:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._is_live = False

    def _show(self, text: str) -> None:
        if not sys.stderr.isatty():
            return
        room = shutil.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[K{text[:room]}", nl=False, err=True)
        self._is_live = True

    def _keep_state(self) -> None:
        self._last_state = time.monotonic()
        if self._state_file is None:
            return
        with appearing(self._state_file) as partial:
            partial.write_text(json.dumps(self._state), encoding="utf-8")
            if self._state_file.is_dir():
                remove(self._state_file)
            partial.replace(self._state_file)


screen = Screen()


def width() -> int | None:
    """Return how many characters a line of the terminal has; None where lines go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def duration(seconds: float) -> str:
    """Return a time as minutes:seconds, from an hour on as hours:minutes:seconds."""
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

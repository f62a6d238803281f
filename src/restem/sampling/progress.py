"""How far a long operation is: on the screen, a line in the log now and then, and numbers for who listens."""

import logging
import time
from types import TracebackType
from typing import Self

from restem import live
from restem.screen import duration, screen

_logger = logging.getLogger(__name__)

_LINE_EVERY_S = 30.0


class Progress:
    """Counts questions and samples while something is done with them."""

    def __init__(
        self, title: str, *, n_questions: int, n_before: int = 0, n_samples_before: int = 0, live_as: str = ""
    ) -> None:
        """Start the clock.

        Args:
            title: What is done.
            n_questions: In all.
            n_before: Of them done before this run, and not counted in its speed.
            n_samples_before: Likewise.
            live_as: What its readings are of; nothing is reported without it. See restem.live.
        """
        self._n_samples_before, self._live_as = n_samples_before, live_as
        self._title, self._n_questions, self._n_before = title, n_questions, n_before
        self._n_done = self._n_samples = self._n_tokens = self._n_judged = self._n_accepted = 0
        self._started = self._last_line = self._last_reading = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say how it ended."""
        screen.clear()
        if self._n_done:
            self._report()
            screen.note(self.state())
            _logger.info("%s: %s in %.0f s", self._title, self.state(), time.monotonic() - self._started)

    def advance(
        self, *, n_samples: int, n_questions: int = 1, n_tokens: int = 0, n_accepted: int | None = None
    ) -> None:
        """Count what was done.

        Args:
            n_samples: Drawn or judged.
            n_questions: That they belong to.
            n_tokens: Drawn.
            n_accepted: Samples that earned the full reward, where that is known.
        """
        self._n_done += n_questions
        self._n_samples += n_samples
        self._n_tokens += n_tokens
        if n_accepted is not None:
            self._n_judged += n_samples
            self._n_accepted += n_accepted
        now = time.monotonic()
        if now - self._last_reading >= live.EVERY_S:
            self._last_reading = now
            self._report()
        left = f"{duration(self._seconds_left())} left"
        screen.live(self._title, f"{self.state()}, {left}")
        if now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            _logger.info("%s: %s, %s", self._title, self.state(), left)

    def state(self) -> str:
        """Return how far it is, in words."""
        done = f"{self._n_before + self._n_done} of {self._n_questions} questions"
        return f"{done}, {self._speed()}"

    def _report(self) -> None:
        """Tell who listens: by samples, counted over all runs of the same work."""
        if not self._live_as:
            return
        n_samples = self._n_samples_before + self._n_samples
        values: dict[str, float] = {"questions": self._n_before + self._n_done, "samples": n_samples}
        if self._n_tokens:
            values["tokens_per_second"] = self._n_tokens / max(1e-9, time.monotonic() - self._started)
        if self._n_judged:
            values["acceptance"] = self._n_accepted / self._n_judged
        live.report(self._live_as, n_samples, values)

    def _speed(self) -> str:
        parts = [f"{self._n_samples} samples"]
        if self._n_tokens:
            parts.append(f"{self._n_tokens / max(1e-9, time.monotonic() - self._started):.0f} tokens/s")
        if self._n_judged:
            parts.append(f"{self._n_accepted / self._n_judged:.1%} accepted")
        return ", ".join(parts)

    def _seconds_left(self) -> float:
        left = self._n_questions - self._n_before - self._n_done
        return left * (time.monotonic() - self._started) / max(1, self._n_done)

"""How far a training is: what it logged, which weights were best, and where it can go on.

A training that may be killed has a folder: its newest checkpoint and the best weights so far. Both are whole or
absent, and a rerun that starts from the checkpoint takes the same steps again.
"""

import json
import logging
import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from restem import live
from restem.store.journal import JournalEntry
from restem.store.partials import remove

_logger = logging.getLogger(__name__)

_COURSE = "course.json"
_CHECKPOINT = "checkpoint-"
_WEIGHTS = "weights-"


@dataclass
class Course:
    """What a training knows about itself; saved with every checkpoint."""

    log: list[dict[str, float]] = field(default_factory=list)  # per optimizer step; see TrainingResult
    best_step: int = 0  # whose weights earned the most; 0 before the first validation
    best_reward: float = -1.0  # theirs; rewards are never below 0
    n_not_better: int = 0  # validations since
    micro_batch_size: int | None = None  # what fits, if that is less than was asked for

    def note_step(self, row: dict[str, float]) -> None:
        """Log an optimizer step."""
        self.log.append(row)
        live.report(live.TRAINING, int(row["step"]), {name: row[name] for name in row if name != "step"})

    def note_validation(self, *, reward: float, loss: float | None) -> bool:
        """Return whether the weights of the last logged step are the best so far, and log their reward and loss."""
        measured = {"validation_reward": reward} | ({} if loss is None else {"validation_loss": loss})
        self.log[-1] |= measured
        live.report(live.TRAINING, int(self.log[-1]["step"]), measured)
        if reward <= self.best_reward:
            self.n_not_better += 1
            return False
        self.best_step, self.best_reward, self.n_not_better = int(self.log[-1]["step"]), reward, 0
        return True


class Workplace:
    """The folder of an unfinished training."""

    def __init__(self, folder: Path, *, checkpoint_every_s: float) -> None:
        """Use the folder.

        Args:
            folder: Made if it does not exist.
            checkpoint_every_s: `training.checkpoint_every_s`.
        """
        self.folder = folder
        self._every_s = checkpoint_every_s
        self._saved = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._entry = JournalEntry(folder)

    def clear_unfinished(self) -> None:
        """Remove what an interrupted save left behind, and everything if some of it is not what was saved."""
        for path in [*self.folder.glob(".*.partial"), *self.folder.glob(".candidate-*"), self.scratch]:
            remove(path)
        saved = sorted(name for name in self._entry.names() if name.startswith((_CHECKPOINT, _WEIGHTS)))
        damage = [fault for name in saved for fault in self._entry.faults(name)]
        if damage:  # a checkpoint without the best weights before it is of no use, nor the other way round
            _logger.warning("what was saved of this training is damaged, so it begins again: %s", "; ".join(damage))
            for name in saved:
                self._entry.remove(name)

    @property
    def scratch(self) -> Path:
        """Return where checkpoints are written before they have their name."""
        return self.folder / ".scratch"

    def checkpoint(self) -> Path | None:
        """Return the newest checkpoint."""
        checkpoints = sorted(self.folder.glob(f"{_CHECKPOINT}*"))
        return checkpoints[-1] if checkpoints else None

    def course(self) -> Course:
        """Return the course at the newest checkpoint, or that of a training that has not begun."""
        newest = self.checkpoint()
        if newest is None:
            return Course()
        return Course(**json.loads((newest / _COURSE).read_text(encoding="utf-8")))

    def checkpoint_is_due(self) -> bool:
        """Return whether the last checkpoint is old enough for another."""
        return time.monotonic() - self._saved >= self._every_s

    def publish_checkpoint(self, written: Path, step: int, course: Course) -> None:
        """Name a checkpoint that was written to the scratch folder, then remove what it replaces."""
        (written / _COURSE).write_text(json.dumps(asdict(course)), encoding="utf-8")
        replaced = self.checkpoint()
        self._name(written, f"{_CHECKPOINT}{step:08d}")
        if replaced is not None:
            self._entry.remove(replaced.name)
        for folder in self.folder.glob(f"{_WEIGHTS}*"):
            if folder != self.weights(course.best_step):
                self._entry.remove(folder.name)
        self._saved = time.monotonic()

    def weights(self, step: int) -> Path:
        """Return the policy folder of a step whose weights were the best."""
        return self.folder / f"{_WEIGHTS}{step:08d}"

    def candidate(self, step: int) -> Path:
        """Return the policy folder of a step while its reward is being measured; it must be kept or dropped."""
        folder = self.folder / f".candidate-{step:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def keep(self, step: int) -> None:
        """Give the candidate's folder its name, now that it is known to be the best."""
        self._name(self.folder / f".candidate-{step:08d}", self.weights(step).name)  # or in place of the same weights

    def _name(self, written: Path, name: str) -> None:
        def make(partial: Path) -> None:
            written.rename(partial)

        self._entry.write(name, make)

    def drop(self, step: int) -> None:
        """Remove the candidate's folder."""
        shutil.rmtree(self.folder / f".candidate-{step:08d}")


def validation_steps(n_steps: int, *, n_steps_per_epoch: int, every: float) -> frozenset[int]:
    """Return the optimizer steps, from 1, after which the reward is measured; the last is always among them.

    Args:
        n_steps: In all.
        n_steps_per_epoch: Optimizer steps.
        every: Epochs between measurements.
    """
    distance = every * n_steps_per_epoch
    n = math.floor(n_steps / distance)
    return frozenset({max(1, round(distance * number)) for number in range(1, n + 1)} | {n_steps})

"""One of the processes of a training: `python -m restem.training.worker FOLDER`, started by `accelerate launch`.

It reads the request in the folder and trains. The first process leaves the result there; one that meets a fault that
the user can mend leaves what to say. Imports torch only when it trains.
"""

import json
import logging
import os
import select
import sys
import threading
from pathlib import Path

from restem import live, suggestions
from restem.screen import screen
from restem.spending import spending
from restem.store.ledger import Account
from restem.store.processes import PARENT
from restem.training.request import (
    FAILURE,
    LIVE_MARK,
    LOG_MARK,
    READING_MARK,
    RESULT,
    SPENT_MARK,
    asked_in,
    read_request,
    spending_in,
)


def main(folder: Path) -> int:
    """Return 0 when the training is done, 1 when it failed and what to say is in the folder."""
    from restem.errors import RestemError
    from restem.training.in_process import train_here
    from restem.training.launch import is_first_process

    _end_with_parents()
    _log_to_stdout(logging.INFO if is_first_process() else logging.ERROR)
    live.listen(_report_to_launcher if is_first_process() else None)
    screen.relay(_show_to_launcher if is_first_process() else lambda title, state: None)
    suggestions.use(asked_in(folder))
    spending.join(spending_in(folder), _tell_launcher)
    try:
        result = train_here(read_request(folder))
    except RestemError as error:
        report = {"kind": type(error).__name__, "message": error.message}
        (folder / f"{FAILURE}{os.environ.get('RANK', '0')}.json").write_text(json.dumps(report), encoding="utf-8")
        return 1
    if is_first_process():
        content = {name: value for name, value in result._asdict().items() if name != "folder"}
        (folder / RESULT).write_text(json.dumps(content), encoding="utf-8")
    _leave()
    return 0


def _end_with_parents() -> None:
    """End when whoever started this ends, however: two trainings must not write to the same place."""
    parents = [os.getppid(), *map(int, filter(None, [os.environ.get(PARENT)]))]
    try:
        watched = [os.pidfd_open(parent) for parent in parents]
    except ProcessLookupError:  # gone already
        os._exit(1)

    def wait() -> None:
        select.select(watched, [], [])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _log_to_stdout(level: int) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(f"{LOG_MARK}|%(levelno)d|%(message)s"))
    logger = logging.getLogger("restem")
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def _show_to_launcher(title: str, state: str) -> None:
    sys.stdout.write(f"{LIVE_MARK}|{title}|{state}\n")
    sys.stdout.flush()


def _tell_launcher(taken: Account) -> None:
    sys.stdout.write(f"{SPENT_MARK}|{json.dumps(taken.as_json())}\n")
    sys.stdout.flush()


def _report_to_launcher(reading: live.Reading) -> None:
    sys.stdout.write(f"{READING_MARK}|{json.dumps(reading)}\n")
    sys.stdout.flush()


def _leave() -> None:
    from accelerate import PartialState

    PartialState().destroy_process_group()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

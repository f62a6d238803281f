"""`restem score`: verdicts on a file of completions."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restem.questions.golds import gold_as_dict
from restem.questions.reading import read_json_text

if TYPE_CHECKING:
    from restem.rewards import Reward

_BATCH = 4096  # lines judged at a time: flat memory, and repeated answers within it are judged once


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--reward", required=True, help="A built-in reward, or my_pkg.my_module:my_reward.")
@click.option("--timeout-s", default=5.0, show_default=True, help="Wall clock limit per verdict, in seconds.")
@click.option("--workers", default=2, show_default=True, help="Processes that judge at the same time.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the reward; repeatable.")
def score(file: str, reward: str, timeout_s: float, workers: int, options: tuple[str, ...]) -> None:
    """Judge a FILE of questions and completions.

    The file is JSONL, plain or gzipped, or - for standard input. Every line is a question (its gold at least) and a
    completion: {"gold": {"answer": "4"}, "completion": "2+2=4"}. One verdict per line goes to standard output, a
    summary to standard error. The exit code is 0 when every line was judged, and 1 when a line is broken or the
    reward is.
    """
    from restem.project import bootstrap_around
    from restem.rewards import load_reward
    from restem.schemas import MAJORITY

    if any(":" in text for text in (reward, *options)):  # a function of the project's own, perhaps
        bootstrap_around()
    counts: Counter[str] = Counter()
    with (
        load_reward(reward, timeout_s=timeout_s, workers=workers, **dict(map(_option, options))) as judge,
        _lines(file) as lines,
    ):
        rows = _rows(file, lines)
        # A majority is of all samples of a question, wherever in the file they are.
        for batch in [list(rows)] if reward == MAJORITY else _batches(rows):
            for row, verdict in zip(batch, judge.score(batch, [row["completion"] for row in batch]), strict=True):
                known = {"question_id": row["question_id"]} if "question_id" in row else {}
                shown = {**known, **verdict._asdict(), "reward_version": judge.version}
                click.echo(json.dumps(shown, ensure_ascii=True))
                counts[verdict.reason] += 1
    click.echo(_summary(counts, judge), err=True)


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"must be KEY=VALUE, got {text!r}", param_hint="--option")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@contextmanager
def _lines(file: str) -> Iterator[Iterable[bytes]]:
    with click.open_file(file, "rb") if file == "-" else Path(file).open("rb") as stream:
        buffered = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
        is_gzip = buffered.peek(2)[:2] == b"\x1f\x8b" if hasattr(buffered, "peek") else file.endswith(".gz")
        if is_gzip:
            with gzip.open(buffered, "rb") as unzipped:
                yield unzipped
        else:
            yield buffered


def _rows(file: str, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    name = "standard input" if file == "-" else file
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = read_json_text(line.decode())
        except json.JSONDecodeError as error:  # which counts lines within the text
            place = f"{name}, line {number}, character {error.pos + 1}"
            raise click.ClickException(f"{place}: not JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise click.ClickException(f"{name}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise click.ClickException(f"{name}, line {number}: must be a JSON object, got {type(row).__name__}")
        if not isinstance(row.get("completion"), str):
            raise click.ClickException(
                f"{name}, line {number}: 'completion' must be a text, got {row.get('completion')!r}"
            )
        # As in a file of questions: a bare answer is a gold too, and a number is what is written.
        yield {**row, "gold": gold_as_dict(f"{name}, line {number}", row["gold"])} if "gold" in row else row


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _summary(counts: Counter[str], judge: "Reward") -> str:
    total = counts.total()
    opinion = f" ({judge.opinion}, not a check)" if judge.opinion else ""
    lines = [f"{reason:<20}{count:>8}{count / total:>9.1%}" for reason, count in counts.most_common()]
    return "\n".join([f"{judge.version}: {total} judged{opinion}", *lines])

"""What an experiment takes, over all its runs, and whether what it may take is spent: tokens, requests, hours, money.

Whoever runs a pipeline opens the account (`open`), whoever does the work says what it took (`take`), and neither knows
the other. Before each piece of work that can be finished alone, `refuse_if_spent` is asked: so a budget ends a run
where nothing is lost, and what is under way is finished and comes on top. Nothing here changes what is made.

The account is one file of the experiment, replaced whole; a run holds the experiment's lock, so nobody else writes it.
Other processes that work for a run (of a cluster, of a training) tell theirs to it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

from restem import suggestions
from restem.errors import BudgetError, DamageError, StorageError
from restem.parameters.limits import BudgetParameters, LimitsParameters, PricesParameters, TokenPriceParameters
from restem.store.ledger import Account, Ledger, Taken

_logger = logging.getLogger(__name__)

Spender = Literal["sampling", "judge"]
_WRITE_EVERY_S = 2.0
_SECONDS_PER_HOUR = 3600
_PRICED_TOKENS = 1_000_000
_KEPT = (
    "What was finished is kept and costs nothing again: shards of samples and verdicts, and training up to its last "
    "checkpoint"
)


class Measure(NamedTuple):
    """How much of one thing was taken, and of how much."""

    name: str  # of limits.budget
    taken: float
    limit: float | None  # None: no end

    def __str__(self) -> str:
        """Return it as people read it."""
        of = "" if self.limit is None else f" of {shown(self.limit)}"
        amount = f"{shown(self.taken)}{of}"
        return f"a cost of {amount}" if self.name == "cost" else f"{amount} {self.name}"

    @property
    def is_spent(self) -> bool:
        """Return whether nothing is left."""
        return self.limit is not None and self.taken >= self.limit


def measures(account: Account, limits: LimitsParameters) -> list[Measure]:
    """Return what was taken of every budget; money only where there are prices."""
    budget, of_all = limits.budget, account.sampling.plus(account.judge)
    cost = cost_of(account, limits.prices)
    return [
        Measure("tokens", of_all.prompt_tokens + of_all.completion_tokens, budget.tokens),
        Measure("requests", of_all.requests, budget.requests),
        Measure("hours", account.seconds / _SECONDS_PER_HOUR, budget.hours),
        *([] if cost is None else [Measure("cost", cost, budget.cost)]),
    ]


def cost_of(account: Account, prices: PricesParameters) -> float | None:
    """Return what an account comes to by these prices; None if there are none."""
    priced = [
        (account.sampling.prompt_tokens / _PRICED_TOKENS, prices.sampling.prompt),
        (account.sampling.completion_tokens / _PRICED_TOKENS, prices.sampling.completion),
        (account.judge.prompt_tokens / _PRICED_TOKENS, prices.judge.prompt),
        (account.judge.completion_tokens / _PRICED_TOKENS, prices.judge.completion),
        (account.seconds / _SECONDS_PER_HOUR, prices.hour),
    ]
    known = [amount * price for amount, price in priced if price is not None]
    return sum(known) if known else None


def measures_of(ledger: Ledger, limits: LimitsParameters) -> list[Measure]:
    """Return what an experiment took so far; nothing if nothing was counted.

    Raises:
        DamageError: If that cannot be read.
    """
    account = ledger.read()
    return [] if account is None else measures(account, limits)


class Spending:
    """The account of the run that is open in this process, or what a process that works for one has taken."""

    def __init__(self) -> None:
        """Start with no run."""
        self._lock = threading.RLock()  # engines and judges take in many threads
        self._ledger: Ledger | None = None
        self._tell: Callable[[Account], None] | None = None
        self._uninterrupted = 0
        self._begin(Account(), LimitsParameters(), "")

    def _begin(self, before: Account, limits: LimitsParameters, experiment: str) -> None:
        self._before, self._now, self._untold = before, Account(), Account()
        self._limits, self._experiment = limits, experiment
        self._started = self._written_at = time.monotonic()
        self._is_written = True  # all but the time

    def open(self, ledger: Ledger, limits: LimitsParameters, *, experiment: str) -> None:
        """Count for a run from now on, on top of what runs before it took.

        Args:
            ledger: Where it is kept.
            limits: What the experiment may take.
            experiment: Its name, for messages.

        Raises:
            DamageError: If there is a budget, and what was taken before cannot be read.
        """
        try:
            before = ledger.read() or Account()
        except DamageError as error:
            if any(value is not None for value in asdict(limits.budget).values()):
                raise
            _logger.warning("%s", error)
            before = Account()
        with self._lock:
            self._begin(before, limits, experiment)
            self._ledger = ledger

    def close(self) -> None:
        """Keep the account, and count for no run any more."""
        with self._lock:
            ledger, self._ledger = self._ledger, None
            if ledger is not None:
                try:
                    ledger.write(self._so_far())
                except StorageError as error:  # the run is over; it must not fail for this
                    _logger.warning("what was taken since it was last written is not counted: %s", error)
            self._begin(Account(), LimitsParameters(), "")

    def take(self, spender: Spender, *, requests: int = 0, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Count what was taken."""
        taken: dict[str, Any] = {spender: Taken(requests, prompt_tokens, completion_tokens)}
        self.add(Account(**taken))

    def add(self, account: Account) -> None:
        """Count what another process took for this run."""
        with self._lock:
            self._now = self._now.plus(account)
            if self._tell is not None:
                self._tell(account)
            else:
                self._untold = self._untold.plus(account)
            self._is_written = False
            if time.monotonic() - self._written_at >= _WRITE_EVERY_S:
                self._write()

    def untold(self) -> Account:
        """Return what was taken in this process since this was last asked; of a worker, to be told to its run."""
        with self._lock:
            untold, self._untold = self._untold, Account()
            return untold

    def why_spent(self) -> str:
        """Return what of the budget is spent, what is kept and how to go on; nothing if something is left."""
        with self._lock:
            if not self._is_written or time.monotonic() - self._written_at >= _WRITE_EVERY_S:
                self._write()
            spent = next((each for each in measures(self._so_far(), self._limits) if each.is_spent), None)
        if spent is None or self._uninterrupted:
            return ""
        path = f"limits.budget.{spent.name}"
        again = suggestions.same_run({path: _more_than(spent.taken, whole=spent.name in {"tokens", "requests"})})
        return (
            f"the budget of experiment {self._experiment!r} is spent: {spent._replace(limit=None)}, and "
            f"{path}={_typed(spent.limit)}. {_KEPT}. Raise it and go on with: {again}"
        )

    def measures(self) -> list[Measure]:
        """Return what the experiment of the run that is open took so far; nothing if none is."""
        with self._lock:
            return [] if self._ledger is None else measures(self._so_far(), self._limits)

    def refuse_if_spent(self) -> None:
        """Raise where work could begin and nothing is left to pay for it.

        Raises:
            BudgetError: With what is spent, what is kept and how to go on.
        """
        why = self.why_spent()
        if why:
            raise BudgetError(why)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let what is done meanwhile be finished, whatever it takes: it would have to be done again from its start."""
        self._uninterrupted += 1
        try:
            yield
        finally:
            self._uninterrupted -= 1

    def share(self) -> dict[str, Any]:
        """Return, as JSON-like values, what a process that works for this run needs to know; see `join`."""
        with self._lock:
            limits = {"budget": asdict(self._limits.budget), "prices": asdict(self._limits.prices)}
            return {"taken": self._so_far().as_json(), "experiment": self._experiment, **limits}

    def join(self, shared: Mapping[str, Any], tell: Callable[[Account], None]) -> None:
        """Work for a run of another process: know its budget, and tell it what is taken here."""
        prices: dict[str, Any] = dict(shared["prices"])
        by_spender = {name: TokenPriceParameters(**prices[name]) for name in ("sampling", "judge")}
        limits = LimitsParameters(
            budget=BudgetParameters(**shared["budget"]), prices=PricesParameters(**{**prices, **by_spender})
        )
        with self._lock:
            self._begin(Account.from_json(shared["taken"]), limits, shared["experiment"])
            self._tell = tell

    def _so_far(self) -> Account:
        seconds = time.monotonic() - self._started
        return self._before.plus(self._now)._replace(seconds=self._before.seconds + seconds)

    def _write(self) -> None:
        if self._ledger is not None:
            self._ledger.write(self._so_far())
            self._written_at, self._is_written = time.monotonic(), True


spending = Spending()


def shown(value: float) -> str:
    """Return a number as people read it: whole ones with commas, others with what matters of their digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}" if value >= 1 else f"{value:.3g}"


def _typed(value: float | None) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _more_than(taken: float, *, whole: bool) -> float:
    """Return about twice as much."""
    twice = float(f"{2 * taken:.2g}")
    return int(twice) if whole else twice

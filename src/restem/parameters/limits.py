"""The group `limits` of parameters.yml: how much of everything is asked, and what an experiment may take. Ours."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Decides, Harmless
from restem.parameters.ranges import Budgeted, Float, Positive, Unit

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Price = Annotated[Float, Field(ge=0.0, le=1e6)]


@dataclass(frozen=True, config=_STRICT)
class BudgetParameters:
    """What an experiment may take, over all its runs; one that is spent ends a run where it can go on. None: no end."""

    # Read and generated, by policies and the judge.
    tokens: Annotated[Budgeted | None, Unit("tokens"), Harmless] = None
    requests: Annotated[Budgeted | None, Unit("requests"), Harmless] = None  # to servers, retries included
    # Wall clock of its runs.
    hours: Annotated[Annotated[Float, Field(ge=1e-4, le=1e6)] | None, Unit("hours"), Harmless] = None
    # In the currency of limits.prices.
    cost: Annotated[Annotated[Float, Field(ge=1e-6, le=1e9)] | None, Unit("money"), Harmless] = None


@dataclass(frozen=True, config=_STRICT)
class TokenPriceParameters:
    """Prices of a million tokens; None is not known, which costs nothing where `limits.budget.cost` is not set."""

    prompt: Annotated[Price | None, Unit("money"), Harmless] = None  # of a million tokens that are read
    completion: Annotated[Price | None, Unit("money"), Harmless] = None  # of a million that are generated


@dataclass(frozen=True, config=_STRICT)
class PricesParameters:
    """What things cost, in any one currency."""

    sampling: TokenPriceParameters = Field(default_factory=TokenPriceParameters)  # of policies: sampling.engine
    judge: TokenPriceParameters = Field(default_factory=TokenPriceParameters)  # of the reward `judge`
    hour: Annotated[Price | None, Unit("money"), Harmless] = None  # of the machines, while a run lasts


@dataclass(frozen=True, config=_STRICT)
class LimitsParameters:
    """The first two are for trying a whole path in minutes; the results mean nothing."""

    # In every split and suite, exemplars apart.
    questions: Annotated[Positive | None, Unit("questions"), Decides("questions")] = None
    # Per question, in sampling and evaluation; what it lowers are sampling.n and evaluation.n, and they decide.
    samples: Annotated[Positive | None, Unit("samples"), Harmless] = None
    budget: BudgetParameters = Field(default_factory=BudgetParameters)
    prices: PricesParameters = Field(default_factory=PricesParameters)

"""Every parameter, by group: its type, unit, range, source, and what it decides. Read groups.py."""

from restem.parameters.evaluation import EvaluationParameters, SuiteParameters
from restem.parameters.groups import (
    AuditParameters,
    EmParameters,
    Fault,
    FilteringParameters,
    FollowUpParameters,
    LoraParameters,
    Parameters,
    PolicyParameters,
    QuestionsParameters,
    SamplingParameters,
    ScoringParameters,
    TrainingParameters,
)
from restem.parameters.limits import (
    BudgetParameters,
    LimitsParameters,
    PricesParameters,
    TokenPriceParameters,
)
from restem.parameters.output import DisplayParameters, TrackingParameters
from restem.parameters.prompting import PromptParameters, ReasoningParameters
from restem.parameters.scale import ScaleParameters, ShareParameters, WorkersParameters

__all__ = [
    "AuditParameters",
    "BudgetParameters",
    "DisplayParameters",
    "EmParameters",
    "EvaluationParameters",
    "Fault",
    "FilteringParameters",
    "FollowUpParameters",
    "LimitsParameters",
    "LoraParameters",
    "Parameters",
    "PolicyParameters",
    "PricesParameters",
    "PromptParameters",
    "QuestionsParameters",
    "ReasoningParameters",
    "SamplingParameters",
    "ScaleParameters",
    "ScoringParameters",
    "ShareParameters",
    "SuiteParameters",
    "TokenPriceParameters",
    "TrackingParameters",
    "TrainingParameters",
    "WorkersParameters",
]

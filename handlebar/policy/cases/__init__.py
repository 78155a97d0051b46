"""Examples with the decisions that are expected of policies."""

from handlebar.policy.cases.case import Case, Expectation, Judged, judge
from handlebar.policy.cases.reading import CaseFile, load_call, load_cases

__all__ = ["Case", "CaseFile", "Expectation", "Judged", "judge", "load_call", "load_cases"]

from handlebar.policy.engine import Engine as Engine
from handlebar.policy.engine import Outcome as Outcome
from handlebar.policy.engine import compile_policies as compile_policies
from handlebar.policy.facts import Call as Call
from handlebar.policy.facts import CountQuery as CountQuery
from handlebar.policy.facts import Facts as Facts
from handlebar.policy.facts import MetricQuery as MetricQuery
from handlebar.policy.facts import PastCall as PastCall
from handlebar.policy.facts import UnavailableError as UnavailableError
from handlebar.policy.loading import load_policies as load_policies
from handlebar.policy.loading.file_formats import PolicyText as PolicyText
from handlebar.policy.writing import policy_to_dict as policy_to_dict

__all__ = [
    "Call",
    "CountQuery",
    "Engine",
    "Facts",
    "MetricQuery",
    "Outcome",
    "PastCall",
    "PolicyText",
    "UnavailableError",
    "compile_policies",
    "load_policies",
    "policy_to_dict",
]

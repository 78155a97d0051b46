"""The pure policy engine: values in, a verdict out."""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "Call": "handlebar.policy.facts",
    "CountQuery": "handlebar.policy.facts",
    "Engine": "handlebar.policy.engine",
    "Facts": "handlebar.policy.facts",
    "MetricQuery": "handlebar.policy.facts",
    "Outcome": "handlebar.policy.engine",
    "PolicyText": "handlebar.policy.loading.file_formats",
    "PastCall": "handlebar.policy.facts",
    "UnavailableError": "handlebar.policy.facts",
    "compile_policies": "handlebar.policy.engine",
    "load_policies": "handlebar.policy.loading",
    "policy_to_dict": "handlebar.policy.writing",
}

__all__ = list(_HOMES)
__getattr__, __dir__ = lazy_door(__name__, _HOMES)

"""From what people write to policies: read, checked, named."""

from handlebar.policy.loading.sources import load_policies

__all__ = ["load_policies"]

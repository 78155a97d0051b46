"""What `handlebar doctor` looks at."""

from handlebar.cli.checks.finding import Finding

__all__ = ["Finding"]

"""How fast it is, beside the published peers: `python -m tests.benchmarks`."""

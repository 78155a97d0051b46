"""What carries the rest: clock, JSON, threads, forks, retries, HTTP."""

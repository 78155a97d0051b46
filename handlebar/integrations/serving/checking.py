"""What the commands of every framework's command line tell: whether the control plane can be reached, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from handlebar.core.client import HandlebarClient
from handlebar.core.endpoints import endpoint_of


@frozen
class Report:
    """
    What was found.

    Attributes:
        is_good: Whether all is as it should be.

        facts: What there is to tell, by name.
    """

    is_good: bool
    facts: Mapping[str, Any]

    def text(self, *, as_json: bool) -> str:
        """Return the report, for programs or for people."""
        if as_json:
            return json.dumps({"ok": self.is_good, **self.facts})
        return "\n".join(f"{name:<14} {value}" for name, value in {**self.facts, "ok": self.is_good}.items())


def check(client: HandlebarClient) -> Report:
    """Ask the control plane to register the agent; tell what came of it."""
    config = client.config
    endpoint = endpoint_of(config)
    is_off = config.enforce_mode == "off"
    registered = client.ready_sync()
    facts = {
        "agent": config.agent.slug,
        "endpoint": "none" if endpoint is None else endpoint.url,
        "enforce_mode": config.enforce_mode,
        "fail_closed": config.fail_closed,
        "registered": registered,
    }
    return Report(registered or is_off, facts)


def send_test(client: HandlebarClient) -> Report:
    """Make a run that does nothing, and tell whether its events were delivered."""
    before = client.stats()
    with client.run(tags={"handlebar.test": "true"}) as run:
        pass
    client.drain_sync()
    after = client.stats()
    sent = after.events_sent - before.events_sent
    return Report(sent > 0, {"run": run.run_id, "events_sent": sent, "last_error": after.last_error})

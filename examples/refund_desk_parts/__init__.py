"""The parts of the refund desk: shop, tools, planners, agent, summary."""

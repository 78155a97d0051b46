"""Hand-offs: when an agent stops, the whole context goes along as a packet."""

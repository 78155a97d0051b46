"""Adapters: hand-offs in the terms of agent frameworks."""

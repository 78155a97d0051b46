"""Adapters: Handlebar in the terms of other frameworks, one module each; import the one that you need."""

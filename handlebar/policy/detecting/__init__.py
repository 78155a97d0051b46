"""Finding sensitive data in text."""

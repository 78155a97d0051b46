"""The parts of the support page, a Django project."""

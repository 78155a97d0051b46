"""A page whose agent hands the slow part of its work to a Celery task."""

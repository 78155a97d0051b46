"""A shop in Django on PostgreSQL, whose orders are settled by Celery tasks."""

"""A Django project, for clients in this process and for servers."""

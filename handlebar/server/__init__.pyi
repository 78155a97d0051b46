from handlebar.server.app import create_app as create_app
from handlebar.server.serving import serve as serve

__all__ = ["create_app", "serve"]

"""
Handlebar for Flask.

    hb = Handlebar()

    def create_app():
        app = Flask(__name__)
        app.config.from_prefixed_env()
        hb.init_app(app)
        return app

    @app.post("/chat")
    def chat():
        with hb.run(model="gpt-4o") as run: ...
"""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "Handlebar": "handlebar.integrations.flask.extension",
    "current_run": "handlebar.integrations.flask.extension",
}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)

"""The extension object: one for any number of apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import frozen
from flask import Flask, Response, current_app, has_app_context, jsonify, request
from werkzeug.local import LocalProxy

from handlebar._plumbing import logs
from handlebar.core.client import HandlebarClient
from handlebar.core.current import get_current_run
from handlebar.core.front import get_client
from handlebar.core.request_scope import Loader, RequestScope, Sources
from handlebar.core.run import Run
from handlebar.core.scope import RunScope
from handlebar.integrations.celery import publishing
from handlebar.integrations.flask.commands import commands
from handlebar.integrations.flask.visiting import Visiting
from handlebar.integrations.serving import clients
from handlebar.integrations.serving.answers import REFUSALS, answer_to
from handlebar.integrations.serving.identity import identity_from
from handlebar.integrations.serving.settings import NAMES, Settings, close_to, settings_from
from handlebar.integrations.serving.visits import Visit, open_run

F = TypeVar("F", bound=Callable[[], Any])

_PREFIX = "HANDLEBAR_"
_SECRET = "API_KEY"  # noqa: S105  # the name of a setting, not its value

current_run: Run = LocalProxy(get_current_run)  # type: ignore[assignment]  # as Flask types its own proxies
"""The current run, as `flask.request` is the current request."""


@frozen
class _State:
    """What belongs to one app."""

    settings: Settings
    own_client: HandlebarClient | None
    visiting: Visiting

    @property
    def client(self) -> HandlebarClient:
        return self.own_client or get_client()


class Handlebar:
    """
    Governs the agents of Flask apps. Lives as long as the process; holds no app.

    Args:
        app: An app to begin with; others by `init_app`.

        client: The client of every app, where it is made elsewhere.

        settings: Settings that beat the apps' `HANDLEBAR_…`, by their names in lower case without prefix.
    """

    def __init__(self, app: Flask | None = None, *, client: HandlebarClient | None = None, **settings: Any) -> None:
        self._client = client
        self._settings = {name.upper(): value for name, value in settings.items()}
        self._find_actor: Callable[[], Any] = _flask_login_id
        self._find_session: Callable[[], Any] = _nobody
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """
        Govern *app*; starts no thread and opens no socket.

        Raises:
            RuntimeError: *app* has a Handlebar already.

            ConfigError: A setting has a value that is not allowed.
        """
        if "handlebar" in app.extensions:
            raise RuntimeError("This app has a Handlebar already: call init_app once for each app")
        _warn_of_unknown(app.config)
        settings = settings_from(self._given(app.config))
        for name in NAMES:
            if name != _SECRET:
                app.config.setdefault(_PREFIX + name, getattr(settings, name.lower()))
        client = self._client or settings.client()
        visiting = Visiting(lambda: self._visit(client), self._run_of_request)
        app.extensions["handlebar"] = _State(settings, client and clients.remember(client), visiting)
        visiting.register(app)
        app.cli.add_command(commands(lambda: self.client))
        if settings.governs_publishing:
            publishing.connect()
        if settings.error_responses:
            for refusal in REFUSALS:
                app.register_error_handler(refusal, _refused)

    def actor_loader(self, find: F) -> F:
        """Let *find* tell whom a request acts for, when its first run starts: an `Actor`, an id, or None."""
        self._find_actor = find
        return find

    def session_loader(self, find: F) -> F:
        """Let *find* tell the conversation's id, or None. A session cookie is a credential: do not return it."""
        self._find_session = find
        return find

    @property
    def client(self) -> HandlebarClient:
        """
        The client of the current app; without one, as in a thread or a stream, that of the request served here.

        Raises:
            NotInitialisedError: The app names no agent, and there is no default client.
        """
        return _state().client if has_app_context() else get_client()

    def run(self, run_id: str | None = None, **config: Any) -> RunScope:
        """Return `client.run(...)` of the current app; the request says what is left open."""
        return self.client.run(run_id, **config)

    def _given(self, config: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: config.get(_PREFIX + name) for name in NAMES}
        return {**given, **self._settings}

    def _visit(self, client: HandlebarClient | None) -> Visit:
        request_ = request._get_current_object()  # type: ignore[attr-defined]  # the proxy's own way to it
        sources = Sources(
            actor=Loader(lambda: self._find_actor()),
            session=Loader(lambda: self._find_session()),
            tags=lambda: _tags(request_),
            identity=lambda: identity_from(request_.headers.get),
        )
        return Visit(RequestScope(sources, client=client))

    def _run_of_request(self) -> None:
        state = _state()
        if state.settings.wants_run(request.endpoint):
            open_run(state.client)


def _state() -> _State:
    state: _State | None = current_app.extensions.get("handlebar")
    if state is None:
        raise RuntimeError("This app has no Handlebar: call Handlebar().init_app(app) first")
    return state


def _warn_of_unknown(config: Mapping[str, Any]) -> None:
    """Tell of settings that nobody reads: a misspelt FAIL_CLOSED would leave calls ungoverned."""
    for key in config:
        name = key.removeprefix(_PREFIX)
        if name != key and name not in NAMES:
            logs.warn("Nothing reads the setting %s%s", key, close_to(name))


def _tags(request_: Any) -> dict[str, str]:
    rule = request_.url_rule
    return {"http.method": request_.method, **({"http.route": rule.rule} if rule else {})}


def _flask_login_id() -> Any:
    """Ask Flask-Login, where the app uses it."""
    if not hasattr(current_app, "login_manager"):
        return None
    from flask_login import current_user  # only where the app has it

    return current_user.get_id() if current_user.is_authenticated else None


def _nobody() -> None:
    return None


def _refused(error: Exception) -> Response:
    answer = answer_to(error)
    assert answer is not None  # registered for errors that have one
    response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    return response

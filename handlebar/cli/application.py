"""The command's root: its groups, each loaded when it is used, and the exit codes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from handlebar.cli.endings import Misused, Refused, Unusable
from handlebar.cli.texts import safe
from handlebar.errors import ConfigError, HandlebarError, PolicyError, RefusedError

_COMMANDS = {
    "keys": "Make, list and revoke API keys.",
    "agents": "See which agents there are, and how they stand.",
    "runs": "Look at what agents did.",
    "approvals": "Answer the questions that agents ask people.",
    "inbox": "See and answer whatever waits for a person: questions and hand-offs.",
    "lockdown": "Forbid an agent everything, at once.",
    "policy": "Check policies, try them out, compare them, and put them in force.",
    "audit": "Check, export and shorten the audit trail.",
    "db": "Bring the database's tables up to date.",
    "doctor": "Find out what keeps an agent here from being governed.",
    "serve": "Serve the control plane over HTTP.",
}
"""What there is, and what `-h` says of it: to load a command takes longer than to print its name."""


class Application(click.Group):
    """Loads a command when it is used, and makes exit codes of Handlebar's errors; lives as long as the process."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"handlebar.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is meant."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            # What was typed may be a copy of what an agent has said.
            error.message = "\n".join(map(safe, error.message.split("\n")))  # type: ignore[misc]  # for checkers it is final
            raise
        except HandlebarError as error:
            raise _ending(error)(_words(error)) from error
        except ModuleNotFoundError as error:
            if (error.name or "handlebar").startswith("handlebar"):
                raise
            raise Unusable(f'{error.name} is not installed: pip install "handlebar[{_extra(ctx)}]"') from error


@click.command(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 all is good; 1 the answer is no, problems were found, or it was refused; 2 wrong usage; "
        "3 the database, the server or a file cannot be used."
    ),
)
def application() -> None:
    """
    Govern AI agents: who may do what, what they did, and what they wait for.

    The database is what --database says, else the environment variable HANDLEBAR_DATABASE, else
    HANDLEBAR_API_ENDPOINT where that is a database, else sqlite:///handlebar.db.
    """


def _ending(error: HandlebarError) -> type[click.ClickException]:
    if isinstance(error, (PolicyError, RefusedError)):
        return Refused
    return Misused if isinstance(error, ConfigError) else Unusable


def _words(error: HandlebarError) -> str:
    """Return what *error* says on one line; of policies, each problem on its own."""
    lines = error.problems if isinstance(error, PolicyError) else (str(error),)
    return "\n".join(map(safe, lines))


def _extra(ctx: click.Context) -> str:
    return "server" if ctx.invoked_subcommand == "serve" else "cli"

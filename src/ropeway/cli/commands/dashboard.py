"""`ropeway dashboard`: the pages of the dashboard, alone; and the users that it lets in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ropeway.cli.groups import Suggesting
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.errors import ConfigError

if TYPE_CHECKING:
    from ropeway.web import Access

USERS = Path("ropeway-users")
_FILE = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=USERS,
    show_default=True,
    help="The file of users.",
)


@click.group(cls=Suggesting, invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8742, show_default=True, help="0 is any."
)
@click.option(
    "--auth",
    type=click.Choice(("token", "users", "proxy", "oidc")),
    default="token",
    show_default=True,
    help="Who is let in: whoever has the link, users of a file, or whom a proxy or a provider names.",
)
@click.option(
    "--users",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=USERS,
    show_default=True,
    help="With --auth users: their file.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="With --auth proxy: whom to believe, such as 10.0.0.0/8.",
)
@click.option("--oidc-issuer", metavar="URL", help="With --auth oidc: the provider of logins.")
@click.option("--oidc-client-id", metavar="ID", help="With --auth oidc: what it knows us as.")
@click.option(
    "--oidc-client-secret",
    envvar="ROPEWAY_OIDC_CLIENT_SECRET",
    metavar="TEXT",
    help="With --auth oidc: the secret for that; also ROPEWAY_OIDC_CLIENT_SECRET.",
)
@click.option(
    "--oidc-role",
    "groups",
    multiple=True,
    metavar="GROUP=ROLE",
    help="With --auth oidc: what a group may do; the first that somebody is in counts.",
)
@click.option(
    "--oidc-claim",
    "claim",
    default="groups",
    show_default=True,
    metavar="NAME",
    help="With --auth oidc: where the provider tells the groups.",
)
@click.option(
    "--oidc-scope",
    "scope",
    default="openid profile email",
    show_default=True,
    metavar="NAMES",
    help="With --auth oidc: what is asked for; some providers tell groups only for one more.",
)
@click.option(
    "--public-url", metavar="URL", help="With --auth oidc: what people open, if not this address."
)
@click.option(
    "--secret",
    envvar="ROPEWAY_DASHBOARD_SECRET",
    metavar="TEXT",
    help="With --auth users and oidc: signs who is logged in; also ROPEWAY_DASHBOARD_SECRET.",
)
@click.option("--role", metavar="ROLE", help="What a link, or a user of a proxy, may do.")
@click.option("--read-only", is_flag=True, help="Nothing can be changed, whoever asks.")
@click.option("--base-path", default="", metavar="PATH", help="What a proxy takes off the paths.")
@click.option("--title", default="ropeway", show_default=True, help="Stands above each page.")
@click.option(
    "--environment", metavar="NAME[:COLOUR]", help="A badge: production:red, staging:yellow."
)
@options()
@click.pass_context
def dashboard(ctx: click.Context, /, host: str, port: int, **asked: Any) -> None:
    """Serve the dashboard: look at everything, and operate it, in a browser.

    It listens on this machine alone and prints a link that lets in whoever has it. At an address that
    others can reach it starts only with --auth users, --auth proxy or --auth oidc.
    """
    if ctx.invoked_subcommand is not None:
        return
    shared = ctx.ensure_object(Shared)
    from ropeway.web import Dashboard
    from ropeway.web.serving import serve

    made = Dashboard(
        _app(shared),
        access=_access(asked),
        title=asked["title"],
        environment=_badge(asked["environment"]),
        read_only=asked["read_only"],
        base_path=asked["base_path"],
    )
    serve(made, host, port, lambda link: _ready(shared, link))


def _ready(shared: Shared, link: str) -> None:
    if shared.json:
        print_json({"url": link})
    else:
        print(link, flush=True)
    shared.say("Ctrl-C stops the dashboard.")


def _app(shared: Shared) -> Any:
    """Return the app that was asked for, or one without tasks, which is enough to look."""
    from ropeway.app import Ropeway
    from ropeway.cli.apps import import_app

    return import_app(shared.app) if shared.app else Ropeway()


def _access(asked: dict[str, Any]) -> Access:
    from ropeway.web import Proxy, Token, Users
    from ropeway.web.passwords import UserFile

    match asked["auth"]:
        case "users":
            file = UserFile(asked["file"])
            if not file.users():
                raise ConfigError(
                    f"there is nobody in {asked['file']}",
                    hint=f"ropeway dashboard users add NAME --file {asked['file']}",
                )
            return Users(file, secret=asked["secret"])
        case "proxy":
            if not asked["proxies"]:
                raise click.UsageError("--auth proxy needs --trusted-proxy ADDRESS.")
            return Proxy(asked["proxies"], role=asked["role"] or "view")
        case "oidc":
            return _oidc(asked)
        case _:
            return Token(role=asked["role"] or "admin")


def _oidc(asked: dict[str, Any]) -> Access:
    from ropeway.web import Oidc

    for name in ("oidc_issuer", "oidc_client_id"):
        if not asked[name]:
            raise click.UsageError(f"--auth oidc needs --{name.replace('_', '-')}.")
    pairs = [each.rpartition("=") for each in asked["groups"]]
    if not all(group and role for group, _, role in pairs):
        raise click.UsageError("write --oidc-role GROUP=ROLE.")
    return Oidc(
        asked["oidc_issuer"],
        asked["oidc_client_id"],
        asked["oidc_client_secret"],
        roles={group: role for group, _, role in pairs},
        claim=asked["claim"],
        scope=asked["scope"],
        url=asked["public_url"],
        secret=asked["secret"],
    )


def _badge(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    name, _, colour = text.partition(":")
    return name, colour if colour in {"red", "yellow", "green"} else "plain"


@dashboard.group(cls=Suggesting)
@options("quiet", "output", "json")
def users() -> None:
    """See to who is let in with --auth users: add, ls, rm."""


@users.command()
@click.argument("name")
@click.option(
    "--role",
    metavar="ROLE",
    default="view",
    show_default=True,
    help="What they may do: view, operate, admin; also view+jobs.retry or operate-jobs.payload.",
)
@click.password_option(help="Their password; it is asked for unless it is given.")
@_FILE
@options("quiet", "output", "json")
@click.pass_obj
def add(shared: Shared, name: str, role: str, password: str, file: Path) -> None:
    """Add somebody, or give them another password and role."""
    from ropeway.web.passwords import UserFile

    UserFile(file).put(name, role, password)
    shared.say(f"{name} is let in, with the role {role}")


@users.command()
@_FILE
@options("quiet", "output", "json")
@click.pass_obj
def ls(shared: Shared, file: Path) -> None:
    """List who is let in."""
    from ropeway.web.passwords import UserFile

    found = [{"name": each.name, "role": each.role} for each in UserFile(file).users().values()]
    if shared.json:
        print_json(found)
    else:
        for each in found:
            print(f"{each['name']}\t{each['role']}")


@users.command()
@click.argument("name")
@_FILE
@options("quiet", "output", "json")
@click.pass_obj
def rm(shared: Shared, name: str, file: Path) -> None:
    """Remove somebody, who is out at once."""
    from ropeway.web.passwords import UserFile

    was = UserFile(file).remove(name)
    shared.say(f"{name} is let in no more" if was else f"{name} was not there")

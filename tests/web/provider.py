"""A provider of logins as a process: django-oauth-toolkit, with two users and one client.

`python -m tests.web.provider FOLDER` prints its address, and serves until it is killed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django  # type: ignore[import-untyped]  # it has none
from django.conf import settings  # type: ignore[import-untyped]  # it has none
from django.core.management import call_command  # type: ignore[import-untyped]  # it has none
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]  # it has none
from django.urls import include, path  # type: ignore[import-untyped]  # it has none
from joserfc.jwk import RSAKey

CLIENT, SECRET = "ropeway", "s3cret"
PASSWORDS = {"ann": "ann's", "bob": "bob's"}
GROUPS = {"ann": ["staff", "ops"], "bob": ["sales"]}
RETURNS = ("http://localhost/login/callback", "http://localhost/in/ops/login/callback")
AFTER = ("http://localhost/login", "http://localhost/in/ops/login")

FORM = '<form method="post">{% csrf_token %}<input name="username"><input name="password"></form>{{ form.errors }}'


def configure(folder: Path) -> None:
    """Set Django up, with a database in a folder."""
    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "p.db"),
                "OPTIONS": {"init_command": "pragma synchronous = off"},
            }
        },
        MIGRATION_MODULES={
            "contenttypes": None,
            "auth": None,
            "sessions": None,
            "oauth2_provider": None,
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROOT_URLCONF="tests.web.provider",
        LOGIN_URL="/accounts/login/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": FORM},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": RSAKey.generate_key(2048).as_pem(private=True).decode(),
            "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
            "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who", "profile": "name", "email": "address"},
            "OAUTH2_VALIDATOR_CLASS": "tests.web.provider.validator",
        },
    )
    django.setup()


def validator() -> Any:
    """Make what answers for users: their groups are told beside the token, when that is asked."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):  # type: ignore[misc]  # it has no types
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            return {"preferred_username": request.user.username}

        def get_userinfo_claims(self, request: Any) -> dict[str, Any]:
            found: dict[str, Any] = super().get_userinfo_claims(request)
            return found | {"groups": GROUPS[request.user.username]}

    return Validator()


def fill() -> None:
    """Make the tables, the users and the client."""
    from django.contrib.auth.models import User  # type: ignore[import-untyped]  # it has none
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0)
    for name, password in PASSWORDS.items():
        User.objects.create_user(name, password=password)
    Application.objects.create(
        name="ropeway",
        client_id=CLIENT,
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        algorithm="RS256",
        skip_authorization=True,
        redirect_uris=" ".join(RETURNS),
        post_logout_redirect_uris=" ".join(AFTER),
    )


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def routes() -> list[Any]:
    """Return the pages of the provider."""
    from django.contrib.auth.views import LoginView  # type: ignore[import-untyped]  # it has none

    return [
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("accounts/login/", LoginView.as_view()),
    ]


if settings.configured:  # it is this process, and Django asks for the pages
    urlpatterns = routes()

if __name__ == "__main__":
    configure(Path(sys.argv[1]))
    fill()
    serving = make_server(
        "127.0.0.1",
        0,
        get_wsgi_application(),
        server_class=_Threads,
        handler_class=_Quiet,
    )
    print(f"http://127.0.0.1:{serving.server_port}", flush=True)
    serving.serve_forever()

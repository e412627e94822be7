"""From what a view found to HTML: the templates, and the words for times and numbers in them."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ropeway import __version__, safe
from ropeway.matching import ran, view, waited
from ropeway.operate.job import error_line, progress_line
from ropeway.web.at import At, Shown
from ropeway.web.catalogue import LANGUAGES
from ropeway.words import date, duration, iso, often, relative

SIGNS: Mapping[str, str] = {
    "queued": "◌",
    "scheduled": "◷",
    "retrying": "↻",
    "running": "▶",
    "succeeded": "✓",
    "failed": "✕",
    "cancelled": "⊘",
    "expired": "⊖",
    "quarantined": "!",
}
"""A shape for each state, so that colour is never the only sign."""

NAVIGATION = (
    ("/", "Overview"),
    ("/jobs", "Jobs"),
    ("/errors", "Errors"),
    ("/quarantine", "Quarantine"),
    ("/queues", "Queues"),
    ("/routing", "Routing"),
    ("/workers", "Workers"),
    ("/schedules", "Schedules"),
    ("/workflows", "Workflows"),
    ("/topics", "Topics"),
    ("/limits", "Limits"),
    ("/operations", "Operations"),
    ("/performance", "Performance"),
    ("/audit", "Audit"),
    ("/about", "About"),
)


class Look(Mapping[str, str]):
    """What of the looks of a page somebody has chosen."""

    def __init__(self, given: Mapping[str, str]) -> None:
        theme = given.get("ropeway_theme", "")
        self._chosen = {"theme": theme if theme in {"light", "dark"} else "system"}

    def __getitem__(self, key: str) -> str:
        return self._chosen[key]

    def __iter__(self) -> Any:
        return iter(self._chosen)

    def __len__(self) -> int:
        return len(self._chosen)


def harmless(value: Any) -> Any:
    """Return what is put into a page without what turns the direction of writing, and the like."""
    return safe.lines(value) if type(value) is str else value


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, made ready once."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("ropeway.web"),
        autoescape=True,
        finalize=harmless,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "number": lambda value: f"{value:,}",
        "duration": duration,
        "often": often,
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
        "compact": lambda value: json.dumps(value, ensure_ascii=False, default=str),
        "per": lambda value: f"{value:,.1f}" if value < 100 else f"{value:,.0f}",
    }
    made.globals |= {
        "SIGNS": SIGNS,
        "view": view,
        "waited": waited,
        "ran": ran,
        "error_line": error_line,
        "progress_line": progress_line,
        "when": when,
        "VERSION": __version__,
        "LANGUAGES": LANGUAGES,
        "NAVIGATION": NAVIGATION,
    }
    return made


def when(instant: float | None, now: float) -> Markup:
    """Write an instant as how long ago it is; the date is in its title."""
    if instant is None:
        return Markup('<span class="quiet">–</span>')
    exact = escape(iso(instant) or "")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact, date(instant), relative(now - instant)
    )


def main(at: At, shown: Shown) -> str:
    """Write what is in the middle of a page: the part that changes while somebody looks."""
    return environment().get_template(shown.template).render(_given(at) | shown.values)


def page(at: At, shown: Shown, look: Look, title: str, badge: tuple[str, str] | None) -> str:
    """Write a whole page."""
    return (
        environment()
        .get_template("shell.html")
        .render(
            _given(at)
            | {
                "content": Markup(main(at, shown)),  # noqa: S704 - a template has escaped it
                "title": shown.title,
                "site": title,
                "badge": badge,
                "look": look,
                "live": shown.live,
                "here": _here(at.path),
            }
        )
    )


def _given(at: At) -> dict[str, Any]:
    return {"at": at, "t": at.words, "url": at.url, "may": at.may}


def _here(path: str) -> str:
    """Return which item of the navigation a page belongs to; empty for none."""
    head = "/" + path.strip("/").partition("/")[0]
    head = {"/bulk": "/jobs", "/move": "/topics"}.get(head, head)
    return head if head in dict(NAVIGATION) else ""

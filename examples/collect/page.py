"""The page of the example: it reads what was collected, and asks nobody else."""

from __future__ import annotations

import html
import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from examples.collect import shelf


def page() -> str:
    """Return the page as HTML."""
    when, top = shelf.get("top")
    _, news = shelf.get("news")
    _, weather = shelf.get("weather")
    _, alike = shelf.get("alike")
    rows = "".join(
        f"<tr><td>{number}<td>{html.escape(each['name'])}<td>{each['stars']:,}"
        for number, each in enumerate(top or (), 1)
    )
    titles = "".join(f"<li>{html.escape(each['title'])}" for each in news or ())
    pairs = "".join(f"<li>{html.escape(one)} and {html.escape(two)}" for _, one, two in alike or ())
    sky = f"{weather['celsius']} °C, {html.escape(weather['sky'])}" if weather else "not known"
    return (
        f"<!doctype html><meta charset=utf-8><title>Collected</title><h1>Top repositories</h1>"
        f"<p>as of {html.escape(when) or 'never'}; weather: {sky}<table>{rows}</table>"
        f"<h2>News</h2><ul>{titles}</ul><h2>Alike</h2><ul>{pairs}</ul>"
    )


class Handler(BaseHTTPRequestHandler):
    """Answers with the page, and at `/top.json` with the data."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/top.json":
            when, top = shelf.get("top")
            self._answer(json.dumps({"instant": when, "top": top}), "application/json")
        else:
            self._answer(page(), "text/html; charset=utf-8")

    def _answer(self, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""

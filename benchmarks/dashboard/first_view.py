"""How much a browser fetches when it opens a page for the first time."""

from __future__ import annotations

import re
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.dashboard.running import Served, dashboard, use
from benchmarks.dashboard.tabs import PAGES

_NAMED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def pages() -> None:
    """Tell the size of each page with all that it needs, as it is sent."""
    with tempfile.TemporaryDirectory() as home:
        use(Path(home))
        from benchmarks.dashboard import traffic

        with dashboard() as served:
            traffic.prepare()
            for _ in traffic.send(60.0, 10.0):
                pass
            for path in PAGES:
                page, text = _fetched(served, path)
                parts = sum(_fetched(served, each)[0] for each in set(_NAMED.findall(text)))
                print(
                    f"{path:28} {page / 1000:6.1f} kB  with all it needs {(page + parts) / 1000:6.1f} kB"
                )


def _fetched(served: Served, path: str) -> tuple[int, str]:
    import gzip

    headers = {**served.headers, "accept-encoding": "gzip"}
    request = urllib.request.Request(served.base + path, headers=headers)
    with urllib.request.urlopen(request) as answer:
        data = answer.read()
        packed = answer.headers.get("content-encoding") == "gzip"
        return len(data), (gzip.decompress(data) if packed else data).decode()

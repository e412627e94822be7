"""Run the example: the API, a worker, and the page, in one process, until ctrl-c."""

from __future__ import annotations

import argparse
import asyncio
import os

from examples.collect import api, page
from examples.collect.tasks import app


async def work(first: bool) -> None:
    """Run the tasks; each is sent once at the start, so that the page has something to show."""
    async with app.worker():
        for each in app.schedules.declared if first else ():
            await app.schedules.arun_now(each.name)
        await asyncio.Event().wait()


def main() -> None:
    """Start everything, and wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the page")
    parser.add_argument("--api-port", type=int, default=8001, help="of the API")
    asked = parser.parse_args()
    with api.serving(api.Handler, asked.api_port) as remote:
        os.environ["COLLECT_API"] = remote
        with api.serving(page.Handler, asked.port) as url:
            print(f"the page is at {url}/, ctrl-c ends it", flush=True)
            try:
                asyncio.run(work(first=True))
            except KeyboardInterrupt:
                print("ended")


if __name__ == "__main__":
    main()

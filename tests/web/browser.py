"""A headless Chromium, driven over a pipe: enough to look at a page, click and type."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
_PATIENCE = 30.0
_MOVED = """
import os, sys
reads, writes = (os.dup(os.dup(int(each))) for each in sys.argv[1:3])
high = [os.dup2(each, 200 + at) for at, each in enumerate((reads, writes))]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads and writes at 3 and 4: they are moved there, whatever is in the way."""


class Navigated(AssertionError):
    """The page went away while it was asked something."""


class Browser:
    """One browser with one page."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = os.fdopen(reads, "rb"), os.fdopen(writes, "wb")
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """Give up the pipes."""
        self._reads.close()
        self._writes.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its result; what the page complains of is remembered."""
        self._number += 1
        wanted = self._number
        message: dict[str, Any] = {"id": wanted, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._writes.write(json.dumps(message).encode() + b"\0")
        self._writes.flush()
        while True:
            found = self._next()
            if found.get("id") == wanted:
                if "navigated" in str(found.get("error")):
                    raise Navigated(found["error"])
                assert "error" not in found, found["error"]
                result: dict[str, Any] = found["result"]
                return result
            self._note(found)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._reads.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def _note(self, found: dict[str, Any]) -> None:
        params = found.get("params", {})
        if found.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if found.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))

    def size(self, width: int, height: int, *, dark: bool = False, script: bool = True) -> None:
        """Set the size of the window, the colours that are preferred, and whether scripts run."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Emulation.setScriptExecutionDisabled", value=not script)

    def go(self, url: str) -> None:
        """Open a page, and wait until it is there."""
        self.run("window.before = true")
        self.ask("Page.navigate", url=url)
        self.until("!window.before && document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """Run an expression in the page, and return its value."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(Navigated):  # the next page will tell
                if value := self.run(expression):
                    return value
            time.sleep(0.02)
        raise AssertionError(f"never true: {expression}")

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, form: str = "png") -> bytes:
        """Return what the page looks like, as PNG or WebP."""
        quality = {"quality": 82} if form == "webp" else {}
        found = self.ask("Page.captureScreenshot", format=form, **quality)
        return base64.b64decode(found["data"])


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser for the block."""
    assert PROGRAM is not None
    reads, child_writes = os.pipe()
    child_reads, writes = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [
            PROGRAM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-extensions",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ]
        words = [sys.executable, "-c", _MOVED, str(child_reads), str(child_writes), *command]
        process = subprocess.Popen(
            words,
            pass_fds=(child_reads, child_writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_reads)
        os.close(child_writes)
        opened = None
        try:
            opened = Browser(reads, writes)
            yield opened
        finally:
            process.terminate()
            process.wait(10)
            if opened is not None:
                opened.close()

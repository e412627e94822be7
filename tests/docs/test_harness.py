"""The runner of examples fails when a page is wrong; otherwise its passing would mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.test_examples import run_text

GOOD = """
<!-- file: pkg/helper.py -->
```python
WORD = "seven"
```

- in a list:

    ```python
    import asyncio
    from pkg.helper import WORD

    async def shout() -> str:
        return WORD.upper()
    ```

Some words.

```python
assert await shout() == "SEVEN"
```

```python
assert asyncio.run(shout()) == "SEVEN"
```

<!-- run -->
```console
$ python -c 'import time; print("worker 0.1.0 ready", flush=True); time.sleep(1000)' &
worker ... ready
...
$ echo one; \\
  echo two
two
$ python -c 'from pkg.helper import WORD; print(WORD)'
seven
```

<!-- run: exit 3 -->
```console
$ sh -c 'exit 3'
```
"""


def test_a_good_page_runs(tmp_path: Path) -> None:
    """Files, await, background commands, patterns, continued lines and statuses."""
    status, output = run_text(GOOD, tmp_path)
    assert status == 0, output
    assert "worker 0.1.0 ready" in output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```python\nassert 1 == 2\n```", "AssertionError"),
        ("```python\nraise SystemExit(3)\n```", "SystemExit"),
        ("```python\nx = 1\n```\n```python\ny\n```", "starts on line 5"),
        ("<!-- run -->\n```console\n$ echo one\ntwo\n```", "did not print: two"),
        ("<!-- run -->\n```console\n$ sh -c 'exit 3'\n```", "ended with 3, not 0"),
        ("<!-- run: exit 3 -->\n```console\n$ true\n```", "ended with 0, not 3"),
        ("<!-- run -->\n```console\n$ sh -c 'exit 4' &\n$ sleep 0.3\n```", "ended with 4"),
        ("<!-- file: ../x -->\n```python\n```", "below the working directory"),
    ],
)
def test_a_wrong_page_fails(text: str, reason: str, tmp_path: Path) -> None:
    """Each way for a page to be wrong is found, and named."""
    status, output = run_text(text, tmp_path)
    assert status == 1
    assert reason in output


@pytest.mark.parametrize(
    "text",
    [
        "```py\nx\n```",
        "<!-- runs -->\n```console\n$ true\n```",
        "<!-- run -->\n```python\nx\n```",
        "<!-- not run -->\n```python\nx\n```",
        "<!-- file -->\n\n```python\nx\n```",
    ],
)
def test_a_slip_in_a_comment_is_an_error(text: str) -> None:
    """A comment that is not understood must not silently keep a block from running."""
    with pytest.raises(ValueError, match="the block below line"):
        list(pages.blocks(text))


def test_a_missing_page_is_a_failure() -> None:
    """A pattern without a page stands for a page that is missing."""
    (name,) = pages.names("docs/nowhere/*.md")
    with pytest.raises(pytest.fail.Exception, match="is missing"):
        pages.page(name)

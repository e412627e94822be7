"""What is measured: a library with one way to use it and to run its workers."""

from __future__ import annotations

from msgspec import Struct, field

SQLITE, REDIS, POSTGRES, RABBITMQ = "sqlite", "redis", "postgres", "rabbitmq"
KINDS = (SQLITE, REDIS, POSTGRES, RABBITMQ)
HERE = "{url}"
"""In the command of a worker, it stands for the URL of what it stores in."""


class Contender(Struct, frozen=True, kw_only=True):
    """A library with one way to run its workers.

    `python` is the interpreter of its environment, `processes` how many processes run tasks.
    `on` is what it stores in, and `promise` what it guarantees there, to be read beside its
    figures. `share` is how much of the usual number of tasks it gets, so that each takes some
    seconds. With `kept` the results of a drain are stored and read back. With `coroutines` its
    verbs are, and with `prepared` it has something to do to a new database. `store` is what keeps
    records and results where `on` is a broker.
    """

    name: str
    module: str
    python: str
    worker: tuple[str, ...]
    processes: int
    scenarios: frozenset[str]
    task: str = "add"
    env: dict[str, str] = field(default_factory=dict)
    on: str = SQLITE
    promise: str = ""
    share: float = 1.0
    kept: bool = True
    coroutines: bool = False
    store: str = REDIS
    prepared: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is ropeway."""
        return self.module == "ropeway_app"

    @property
    def label(self) -> str:
        """Its name, and what it promises if that is said."""
        return f"{self.name} [{self.promise}]" if self.promise else self.name

    def started_with(self, *arguments: str) -> tuple[str, ...]:
        """The command of its worker with more arguments."""
        return (*self.worker, *arguments)

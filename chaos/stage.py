"""What every kind of run needs: a folder, a watched backend, workers, clients, a last look."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from chaos import history
from chaos.crew import Crew
from chaos.evidence import Dump, Setup
from chaos.history import FOLDER, History
from chaos.points import arming
from chaos.processes import Started, environment
from chaos.public import Public
from chaos.smalldisk import SmallDisk
from chaos.witnesses import witness_of


class Stage:
    """One run's folder and processes. The folder holds all that `evidence.load` reads."""

    def __init__(self, setup: Setup, folder: Path, disk: SmallDisk | None = None) -> None:
        self.setup, self.folder, self.disk = setup, folder, disk
        (folder / "history").mkdir(parents=True)
        self.write("run.json", setup)
        self.witness = witness_of(setup.url)
        self.history = History(folder / "history", "control")
        self._env = self._environment()
        self.crew = Crew(folder, self._env, setup.profile.workers, setup.profile.children)
        self.clients: list[Started] = []

    def _environment(self) -> dict[str, str]:
        profile = self.setup.profile
        given = {"lease": profile.lease, "grace": profile.grace, "log_format": "pretty"}
        given |= self.setup.settings
        names = {f"ROPEWAY_{name.upper()}": str(value) for name, value in given.items()}
        place = {"ROPEWAY_URL": self.setup.url, FOLDER: str(self.folder / "history")}
        return environment(**names, **place)

    def start_workers(self) -> None:
        """Start the crew, and wait until it takes jobs."""
        self.crew.start()
        self.crew.wait_until_ready()

    def start_producers(self) -> None:
        """Start those who send; the run begins now."""
        begin = self.history.log("phase", "began")
        for index in range(self.setup.profile.producers):
            arguments = (str(self.folder), str(index), str(begin))
            self.start_client(f"producer-{index}", "chaos.producer", *arguments)

    def start_client(self, name: str, *arguments: str) -> None:
        """Start a program that uses the product."""
        self.clients.append(Started(arguments, self.folder / f"{name}.log", self._env))

    def work_off(self) -> None:
        """Wait until no work is left, and end the workers.

        The wait is bounded: what is not done by then is for the checkers to find.
        """
        deadline = time.monotonic() + self.setup.profile.patience
        with Public(self.setup.url) as public:
            while public.has_work() and time.monotonic() < deadline:
                time.sleep(0.1)
        self.crew.leave(self.setup.profile.grace + self.setup.profile.patience)

    def end(self) -> None:
        """Kill whatever was started and has not ended."""
        for client in self.clients:
            client.kill()
        self.crew.end()

    def look(self) -> None:
        """Write down how everything is at the end, seen from above and from below."""
        rows = self.witness.rows()
        asked = {each.id for each in history.read(self.folder / "history") if each.op == "send"}
        with Public(self.setup.url) as public:
            seen = public.rows(sorted(asked | {row.id for row in rows}))
        self.write("final.json", Dump(public=seen, raw=rows, damage=self.witness.damage()))
        self.write("witness.json", self.witness.sightings())

    def arm(self, pid: int, point: str) -> None:
        """Have a worker die when it comes to a point."""
        arming(self.folder / "history", pid).write_text(point)

    def disarm(self) -> None:
        """Spare the workers that have not come there."""
        for path in (self.folder / "history").glob(arming(Path(), "*").name):
            path.unlink(missing_ok=True)

    def fill_disk(self) -> bool:
        """Leave no free byte on the disk of the database; False if it has none of its own."""
        if self.disk is None:
            return False
        self.disk.fill()
        return True

    def free_disk(self) -> None:
        """Remove what filled the disk."""
        if self.disk is not None:
            self.disk.free()

    def write(self, name: str, value: object) -> None:
        """Write a file of the folder."""
        (self.folder / name).write_bytes(msgspec.json.encode(value))

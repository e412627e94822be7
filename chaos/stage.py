"""What every kind of run needs: a folder, a watched backend, workers, clients, a last look."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from chaos import history
from chaos.crew import Crew
from chaos.evidence import Dump, Setup
from chaos.history import FOLDER, History
from chaos.places.place import Place
from chaos.points import arming
from chaos.processes import Started, environment
from chaos.public import Public
from chaos.skew import CLOCK


class Stage:
    """One run's folder and processes. The folder holds all that `evidence.load` reads."""

    def __init__(self, setup: Setup, folder: Path, place: Place) -> None:
        self.setup, self.folder, self.place = setup, folder, place
        (folder / "history").mkdir(parents=True)
        self.write("run.json", setup)
        self.witness = place.witness(folder / "history", setup.profile.lease)
        self.history = History(folder / "history", "control")
        profile = setup.profile
        self.crew = Crew(folder, self._worker_env, profile.workers, profile.children)
        self.clients: list[Started] = []

    def _worker_env(self, number: int) -> dict[str, str]:
        clock = str(self.place.clock_offset(number))
        return self._environment(self.place.worker_url(number)) | {CLOCK: clock}

    def _environment(self, url: str) -> dict[str, str]:
        profile = self.setup.profile
        given = {"lease": profile.lease, "grace": profile.grace, "log_format": "pretty"}
        given |= self.place.settings | {"url": url}
        names = {f"ROPEWAY_{name.upper()}": str(value) for name, value in given.items()}
        return environment(**names, **{FOLDER: str(self.folder / "history")})

    def prepare(self) -> None:
        """Have the backend run, and be watched."""
        self.place.start()
        self.witness.install()

    def start_workers(self) -> None:
        """Start the crew, and wait until it takes jobs."""
        self.crew.start()
        self.crew.wait_until_ready()

    def start_producers(self) -> None:
        """Start those who send; the run begins now."""
        begin = self.history.log("phase", "began")
        for index in range(self.setup.profile.producers):
            arguments = (str(self.folder), str(index), str(begin))
            url = self.place.producer_url(index)
            self.start_client(f"producer-{index}", url, "chaos.producer", *arguments)

    def start_client(self, name: str, url: str, *arguments: str) -> None:
        """Start a program that uses the product."""
        log = self.folder / f"{name}.log"
        self.clients.append(Started(arguments, log, self._environment(url)))

    def work_off(self) -> None:
        """Wait until no work is left, and end the workers.

        The wait is bounded: what is not done by then is for the checkers to find.
        """
        deadline = time.monotonic() + self.setup.profile.patience
        with Public(self.place.url) as public:
            while public.has_work() and time.monotonic() < deadline:
                time.sleep(0.1)
        self.crew.leave(self.setup.profile.grace + self.setup.profile.patience)

    def end(self) -> None:
        """Kill whatever was started and has not ended; the run is over."""
        self.kill()
        self.history.close()

    def kill(self) -> None:
        """Kill whatever was started and has not ended."""
        for client in self.clients:
            client.kill()
        self.crew.end()
        self.place.end()

    def look(self) -> None:
        """Write down how everything is at the end, seen from above and from below."""
        damage, rows = self.witness.damage(), self.witness.rows()
        asked = {each.id for each in history.read(self.folder / "history") if each.op == "send"}
        with Public(self.place.url) as public:
            seen = public.rows(sorted(asked | {row.id for row in rows}))
        self.write("final.json", Dump(public=seen, raw=rows, damage=damage))
        self.write("witness.json", self.witness.sightings())

    def arm(self, pid: int, point: str) -> None:
        """Have a worker die when it comes to a point."""
        arming(self.folder / "history", pid).write_text(point)

    def disarm(self) -> None:
        """Spare the workers that have not come there."""
        for path in (self.folder / "history").glob(arming(Path(), "*").name):
            path.unlink(missing_ok=True)

    def write(self, name: str, value: object) -> None:
        """Write a file of the folder."""
        (self.folder / name).write_bytes(msgspec.json.encode(value))

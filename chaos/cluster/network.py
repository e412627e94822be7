"""A network of this machine's own: a namespace for each node, which can be cut off in silence."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from chaos.errors import HarnessError
from tests.servers.process import Missing, plain
from tests.servers.rabbitmq import program

_TOOL = "ip"
_SUBNETS = 250


def refuse_where_impossible() -> None:
    """Raise `HarnessError` where no namespace can be made."""
    if os.geteuid() != 0:
        raise HarnessError("a cluster that is cut needs root: it makes network namespaces")
    if not shutil.which(_TOOL, path=_path()):
        raise HarnessError("a cluster that is cut needs `ip`: install iproute2")
    try:
        program()
    except Missing as missing:
        raise HarnessError(str(missing)) from None


class Network:
    """As many hosts as are asked for, on a bridge; names and addresses come from this process's id."""

    def __init__(self, hosts: int) -> None:
        self._id = f"{os.getpid() % 0x10000:04x}"
        self._subnet = f"10.231.{os.getpid() % _SUBNETS}"
        self._bridge = f"rwb{self._id}"
        self.hosts = range(1, hosts + 1)

    def address(self, host: int) -> str:
        """Where a host is found, by the others and by this machine."""
        return f"{self._subnet}.1{host}"

    def make(self) -> None:
        """Make the bridge, and a namespace with one interface for each host."""
        _ip(f"link add {self._bridge} type bridge")
        _ip(f"link set {self._bridge} up")
        _ip(f"addr add {self._subnet}.1/24 dev {self._bridge}")
        for host in self.hosts:
            space, near, far = self._space(host), self._near(host), f"rwp{self._id}{host}"
            _ip(f"netns add {space}")
            _ip(f"link add {near} type veth peer name {far}")
            _ip(f"link set {far} netns {space}")
            _ip(f"link set {near} master {self._bridge} up")
            _ip(f"-n {space} addr add {self.address(host)}/24 dev {far}")
            _ip(f"-n {space} link set {far} up")
            _ip(f"-n {space} link set lo up")

    def inside(self, host: int) -> list[str]:
        """What to put before a command that is to run on a host."""
        return [_TOOL, "netns", "exec", self._space(host)]

    def cut(self, host: int) -> None:
        """Lose every packet from and to a host; nobody is told."""
        _ip(f"link set {self._near(host)} nomaster")

    def heal(self, host: int) -> None:
        """Connect a host again."""
        _ip(f"link set {self._near(host)} master {self._bridge}")

    def kill(self, host: int) -> None:
        """Kill all that runs on a host, at once."""
        with contextlib.suppress(HarnessError):
            for pid in map(int, _ip(f"netns pids {self._space(host)}").split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Kill what runs there, and remove all of it. May be called again."""
        for host in self.hosts:
            self.kill(host)
            with contextlib.suppress(HarnessError):
                _ip(f"netns del {self._space(host)}")
            with contextlib.suppress(HarnessError):
                _ip(f"link del {self._near(host)}")
        with contextlib.suppress(HarnessError):
            _ip(f"link del {self._bridge}")

    def _space(self, host: int) -> str:
        return f"ropeway-{self._id}-{host}"

    def _near(self, host: int) -> str:
        return f"rwv{self._id}{host}"


def _path() -> str:
    return f"{plain()['PATH']}:/usr/sbin:/sbin"


def _ip(words: str) -> str:
    tool = shutil.which(_TOOL, path=_path()) or str(Path("/sbin", _TOOL))
    done = subprocess.run([tool, *words.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HarnessError(f"ip {words}: {done.stderr.strip()}")
    return done.stdout

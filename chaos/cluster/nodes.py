"""A cluster of RabbitMQ, one node on each host of a network."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from chaos.cluster.network import Network
from chaos.errors import HarnessError
from chaos.processes import until
from tests.servers.process import Server, plain
from tests.servers.rabbitmq import program

_SIZE = 3
_CONFIG = """\
listeners.tcp.1 = {address}:5672
loopback_users = none
net_ticktime = 8
cluster_partition_handling = pause_minority
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 50MB
cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config
"""
_START, _ASKED = 90.0, 30.0


class Cluster:
    """Three nodes; a minority that is cut off pauses, as RabbitMQ's own pages advise."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.network = network
        self._scripts = program()
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        cookie = self._home / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        self._folders = {host: folder / f"node-{host}" for host in network.hosts}
        self._servers = {host: self._server(host) for host in network.hosts}

    def url(self, options: str = "") -> str:
        """All nodes, of which a client tries any first."""
        hosts = ",".join(map(self.network.address, self.network.hosts))
        return f"amqp://guest:guest@{hosts}/%2F{options}"

    def start(self, hosts: Iterable[int]) -> None:
        """Start nodes together, also again with what they have kept; they may need each other."""
        started = list(hosts)
        for host in started:
            self._servers[host].start(lambda: True)
        self.wait_until_whole(started)

    def wait_until_whole(self, hosts: Iterable[int]) -> None:
        """Wait until each of these nodes sees all."""
        for host in hosts:
            until(partial(self._whole, host), f"node {host} is in the cluster", _START)

    def kill(self, host: int) -> None:
        """Kill a node, as a power cut would."""
        self.network.kill(host)
        self._servers[host].kill()

    def _whole(self, host: int) -> bool:
        running = "length(rabbit_mnesia:cluster_nodes(running))"
        return self.ctl(host, "eval", f"{running}.", must=False).strip() == str(_SIZE)

    def leader(self, queue: str, asked: Iterable[int]) -> int:
        """Which node leads a quorum queue, as the first of `asked` that answers knows."""
        deadline = time.monotonic() + _ASKED
        while time.monotonic() < deadline:
            for host in asked:
                said = self.ctl(host, "-s", "list_queues", "name", "leader", must=False)
                for line in said.splitlines():
                    name, _, node = line.partition("\t")
                    for each in self.network.hosts:
                        if name == queue and node == self._node(each):
                            return each
        raise HarnessError(f"nobody leads the queue {queue}")

    def messages(self, host: int) -> int:
        """How many rest in all queues, or are with a worker."""
        return sum(map(int, self.ctl(host, "-s", "list_queues", "messages").split()))

    def ctl(self, host: int, *words: str, must: bool = True) -> str:
        """Have `rabbitmqctl` do something on a node; empty if it cannot, unless it must."""
        command = [*self.network.inside(host), str(self._scripts / "rabbitmqctl"), *words]
        try:
            done = subprocess.run(
                command,
                env={**plain(), **self._environment(host)},
                capture_output=True,
                text=True,
                timeout=_ASKED,
                check=must,
            )
        except subprocess.TimeoutExpired:
            if must:
                raise HarnessError(f"rabbitmqctl {' '.join(words)} has no answer") from None
            return ""
        return "" if done.returncode else done.stdout

    def _server(self, host: int) -> Server:
        folder = self._folders[host]
        folder.mkdir()
        nodes = [
            f"cluster_formation.classic_config.nodes.{each} = {self._node(each)}\n"
            for each in self.network.hosts
        ]
        config = _CONFIG.format(address=self.network.address(host)) + "".join(nodes)
        (folder / "rabbitmq.conf").write_text(config)
        (folder / "plugins").write_text("[].")
        command = [*self.network.inside(host), str(self._scripts / "rabbitmq-server")]
        return Server(command, folder, environment=self._environment(host))

    def _node(self, host: int) -> str:
        return f"rabbit@{self.network.address(host)}"

    def _environment(self, host: int) -> dict[str, str]:
        folder = self._folders[host]
        return {
            "HOME": str(self._home),
            "PATH": f"{plain()['PATH']}:/usr/sbin:/sbin",
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODENAME": self._node(host),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log-files"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

"""Several Valkey servers that belong together: under Sentinels, or as a cluster."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers.process import HOST, Server, free_port
from tests.servers.valkey import Valkey, program

_PATIENCE = 60.0


class Watched:
    """A master, its replica, and three Sentinels that make the one the other."""

    NAME = "mymaster"

    def __init__(self, folder: Path, **settings: str) -> None:
        self.nodes = [Valkey(folder / f"node{n}", **settings) for n in range(2)]
        self.ports = [free_port() for _ in range(3)]
        self._sentinels = [
            _sentinel(folder / f"sentinel{n}", port, self.nodes[0].port)
            for n, port in enumerate(self.ports)
        ]

    @property
    def url(self) -> str:
        """How to reach whoever is the master."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        return f"redis+sentinel://{hosts}/{self.NAME}/0"

    def start(self) -> None:
        """Start all of them, and wait until the Sentinels know the replica and each other."""
        for node in self.nodes:
            node.start()
        said(self.nodes[1].port, f"REPLICAOF {HOST} {self.nodes[0].port}")
        _until(lambda: "master_link_status:up" in said(self.nodes[1].port, "INFO replication"))
        for sentinel, port in zip(self._sentinels, self.ports, strict=True):
            sentinel.start(lambda port=port: said(port, "PING").startswith("+PONG"))  # type: ignore[misc]
        _until(lambda: all(self._knows_all(port) for port in self.ports))

    def stop(self) -> None:
        """Stop all of them."""
        for each in (*self._sentinels, *(node.server for node in self.nodes)):
            each.stop()

    def master(self) -> Valkey:
        """The node that a Sentinel says is the master now."""
        told = said(self.ports[0], f"SENTINEL GET-MASTER-ADDR-BY-NAME {self.NAME}").split("\r\n")
        return next(node for node in self.nodes if str(node.port) in told)

    def promoted(self, old: Valkey) -> None:
        """Return when every Sentinel names another master than `old`."""
        name = f"SENTINEL GET-MASTER-ADDR-BY-NAME {self.NAME}"
        _until(lambda: all(str(old.port) not in said(port, name) for port in self.ports))

    def whole(self) -> None:
        """Return when the master has its replica, and both know which they are."""
        _until(lambda: all(self._knows_all(port) for port in self.ports))
        _until(lambda: sorted(_role(node) for node in self.nodes) == ["master", "slave"])
        _until(lambda: "online" in said(self.master().port, "INFO replication"))

    def _knows_all(self, port: int) -> bool:
        told = said(port, "INFO sentinel")
        return "status=ok" in told and "slaves=1,sentinels=3" in told


class Cluster:
    """Three masters that share the slots, and a replica of the one that has `slot`."""

    def __init__(self, folder: Path, slot: int, **settings: str) -> None:
        options = {"cluster_enabled": "yes", "cluster_node_timeout": "1000", **settings}
        self.nodes = [Valkey(folder / f"node{n}", **options) for n in range(4)]
        self._buses = [free_port() for _ in self.nodes]
        self._slot = slot
        for node, bus in zip(self.nodes, self._buses, strict=True):
            node.server.command += ["--cluster-port", str(bus)]

    @property
    def url(self) -> str:
        """How to reach it, from any of its nodes."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"redis+cluster://{hosts}"

    def start(self) -> None:
        """Start the nodes and make them a cluster."""
        for node in self.nodes:
            node.start()
        for n, node in enumerate(self.nodes[:3]):
            said(node.port, f"CLUSTER ADDSLOTSRANGE {n * 5462} {min(16_383, n * 5462 + 5461)}")
            said(node.port, f"CLUSTER SET-CONFIG-EPOCH {n + 1}")
        for node, bus in zip(self.nodes, self._buses, strict=True):
            said(self.nodes[0].port, f"CLUSTER MEET {HOST} {node.port} {bus}")
        _until(lambda: all(self._knows(node, "cluster_known_nodes:4") for node in self.nodes))
        owner, replica = self.owner(self._slot), self.nodes[3]
        name = said(owner.port, "CLUSTER MYID").split("\r\n")[1]
        _until(lambda: said(replica.port, f"CLUSTER REPLICATE {name}").startswith("+OK"))
        _until(lambda: all(self._knows(node, "cluster_state:ok") for node in self.nodes))
        _until(lambda: "master_link_status:up" in said(replica.port, "INFO replication"))

    def stop(self) -> None:
        """Stop the nodes."""
        for node in self.nodes:
            node.stop()

    def owner(self, slot: int) -> Valkey:
        """The master of a slot, as it says itself."""
        return next(node for node in self.nodes if self._owned_by(node, slot))

    def replica(self, owner: Valkey) -> Valkey:
        """The replica of a node."""
        told = said(owner.port, "INFO replication")
        return next(node for node in self.nodes if f"port={node.port}," in told)

    def promoted(self, old: Valkey) -> None:
        """Return when another node than `old` serves the slot, and says so."""
        _until(lambda: any(self._serves(node) for node in self.nodes if node is not old))

    def whole(self) -> None:
        """Return when all is well, and the master of the slot has its replica."""
        _until(lambda: all(self._knows(node, "cluster_state:ok") for node in self.nodes))
        _until(lambda: any(self._serves(node) for node in self.nodes))
        _until(lambda: "online" in said(self.owner(self._slot).port, "INFO replication"))

    def _serves(self, node: Valkey) -> bool:
        return self._owned_by(node, self._slot) and _role(node) == "master"

    @staticmethod
    def _owned_by(node: Valkey, slot: int) -> bool:
        told = said(node.port, "CLUSTER NODES")
        mine = next((line for line in told.splitlines() if "myself,master" in line), "")
        ranges = [part.partition("-") for part in mine.split()[8:]]
        return any(int(low) <= slot <= int(high or low) for low, _, high in ranges)

    @staticmethod
    def _knows(node: Valkey, what: str) -> bool:
        return what in said(node.port, "CLUSTER INFO")


def said(port: int, command: str) -> str:
    """What a server says to a command, as it comes over the wire; nothing where none is there."""
    try:
        with socket.create_connection((HOST, port), 5) as connection:
            connection.sendall(command.encode() + b"\r\nPING\r\n")
            told = b""
            while not told.endswith(b"+PONG\r\n") and (part := connection.recv(65_536)):
                told += part
            return told.decode(errors="replace")
    except OSError:
        return ""


def _role(node: Valkey) -> str:
    return said(node.port, "INFO replication").partition("role:")[2].partition("\r")[0]


def _sentinel(folder: Path, port: int, master: int) -> Server:
    folder.mkdir(parents=True)
    settings = folder / "sentinel.conf"
    watched = Watched.NAME
    settings.write_text(
        f"bind {HOST}\nport {port}\ndir {folder}\nprotected-mode no\n"
        f"sentinel monitor {watched} {HOST} {master} 2\n"
        f"sentinel down-after-milliseconds {watched} 500\n"
        f"sentinel failover-timeout {watched} 3000\n"
    )
    return Server([str(program()), str(settings), "--sentinel"], folder)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the servers do not find each other")
        time.sleep(0.05)

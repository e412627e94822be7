"""The place of a run on a cluster: a pair of it and a file."""

from __future__ import annotations

from pathlib import Path

from chaos.cluster.network import Network
from chaos.cluster.nodes import Cluster
from chaos.places.files import FilePlace


class ClusterPlace(FilePlace):
    """Messages travel through the cluster; the file is watched from inside."""

    def __init__(self, cluster: Cluster, network: Network, data: Path) -> None:
        super().__init__(data, "disk")
        self._cluster, self._network = cluster, network
        # A client that is cut off in silence is to find out sooner than by default.
        self.settings["broker"] = cluster.url("?heartbeat=4s&timeout=5s")

    def start(self) -> None:
        """Make the network, and start all nodes."""
        self._network.make()
        self._cluster.start(self._network.hosts)

    def end(self) -> None:
        """Kill all nodes, and remove their network."""
        for host in self._network.hosts:
            self._cluster.kill(host)
        self._network.remove()

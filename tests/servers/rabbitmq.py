"""A RabbitMQ node from Debian's package, with a port mapper, ports and folders of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from tests.servers.process import HOST, Missing, Server, free_port, listens, plain

_CONFIG = """\
listeners.tcp.1 = {host}:{port}
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 50MB
"""
_AT_ONCE = 10
_MAKE = """
[begin
  V = list_to_binary("t" ++ integer_to_list(N)),
  rabbit_vhost:add(V, <<"test">>),
  rabbit_auth_backend_internal:set_permissions(
    <<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"test">>)
end || N <- lists:seq({first}, {last})].
"""
_GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitMQ:
    """One node; `url` is how to reach it. Its port mapper is started and stopped with it."""

    def __init__(self, folder: Path) -> None:
        self.port, mapper, between = free_port(), free_port(), free_port()
        scripts = program()
        for name in ("home", "log", "data"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cookie = folder / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        (folder / "rabbitmq.conf").write_text(_CONFIG.format(host=HOST, port=self.port))
        (folder / "plugins").write_text("[].")
        environment = {
            "HOME": str(folder / "home"),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(between),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }
        mapping = folder / "mapper"
        mapping.mkdir(exist_ok=True)
        listening = ["epmd", "-port", str(mapper), "-address", HOST]
        self._scripts, self._environment = scripts, environment
        self._fresh: list[str] = []
        self._made = 0
        self._mapper, self._mapper_port = Server(listening, mapping), mapper
        serving = folder / "node"
        serving.mkdir(exist_ok=True)
        self.server = Server([str(scripts / "rabbitmq-server")], serving, environment=environment)

    @property
    def url(self) -> str:
        """The URL of its first virtual host."""
        return f"amqp://guest:guest@{HOST}:{self.port}/%2F"

    def ctl(self, *words: str) -> str:
        """Have `rabbitmqctl` do something; it takes a second or two."""
        done = subprocess.run(
            [str(self._scripts / "rabbitmqctl"), *words],
            env={**plain(), **self._environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def fresh(self) -> str:
        """Return the URL of an empty virtual host."""
        if not self._fresh:
            first, self._made = self._made + 1, self._made + _AT_ONCE
            self.ctl("eval", _MAKE.format(first=first, last=self._made))
            self._fresh = [f"t{number}" for number in range(first, self._made + 1)]
        return self.url.replace("%2F", self._fresh.pop())

    def start(self) -> None:
        """Start it, also again with what it has kept; that takes some seconds."""
        self._mapper.start(lambda: listens(self._mapper_port))
        self.server.start(self._answers)

    def stop(self) -> None:
        """Stop it."""
        self.server.stop()
        self._mapper.stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.settimeout(5)
                connection.sendall(_GREETING)
                return connection.recv(7)[:1] == b"\x01"
        except OSError:
            return False


def program() -> Path:
    """The folder of the package's own scripts: the one on the path changes the user."""
    if not shutil.which("epmd"):
        raise Missing("there is no RabbitMQ: install Debian's package rabbitmq-server")
    for found in sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin")):
        return found
    raise Missing("there is no RabbitMQ: install Debian's package rabbitmq-server")

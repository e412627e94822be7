"""Exchanges and bindings on the server: what is declared for ropeway is there for everybody."""

from __future__ import annotations

from typing import Any, cast

from pamqp import commands
from pamqp.base import Frame
from pamqp.common import FieldTable

from ropeway.backends.rabbitmq.letters import line_of
from ropeway.backends.rabbitmq.queues import Declared, refusal
from ropeway.backends.rabbitmq.wire import Shut
from ropeway.errors import TopologyConflict
from ropeway.routing import Binding, Exchange
from ropeway.topology import Topology

_EXISTS_OTHERWISE = 406


async def shape(declared: Declared, before: Topology, now: Topology) -> None:
    """Make what is declared now, and remove what was before and is not; raises as declaring does.

    What is there already stays, also what others have bound there.
    """
    await declared.declare({_end(each) for each in now.bindings if not each.to_exchange})
    kept, gone = {_key(each) for each in now.bindings}, before.exchanges.keys() - now.exchanges
    frames: list[Frame] = [_declare(each) for each in now.exchanges.values()]
    frames += [_bind(each) for each in now.bindings]
    frames += [
        _unbind(each)
        for each in before.bindings
        if _key(each) not in kept and each.source not in gone and each.to not in gone
    ]
    frames += [commands.Exchange.Delete(0, name) for name in sorted(gone)]
    if not frames:
        return
    try:
        await declared.ask(*frames)
    except Shut as shut:
        if shut.code == _EXISTS_OTHERWISE:
            raise TopologyConflict(
                f"an exchange is there in RabbitMQ with other properties: {shut}",
                hint="declare it as it is, or delete it there: rabbitmqctl list_exchanges",
            ) from None
        raise refusal("exchanges and bindings", shut) from None


def _key(binding: Binding) -> tuple[str, str, bool, str, str]:
    told = repr(sorted(binding.arguments.items()))
    return binding.source, binding.to, binding.to_exchange, binding.key, told


def _end(binding: Binding) -> str:
    return binding.to if binding.to_exchange else line_of(binding.to, "threads")


def _declare(exchange: Exchange) -> Frame:
    arguments = {"alternate-exchange": exchange.alternate} if exchange.alternate else {}
    return commands.Exchange.Declare(
        0,
        exchange.name,
        exchange.type,
        durable=exchange.durable,
        auto_delete=exchange.auto_delete,
        internal=exchange.internal,
        arguments=cast("FieldTable", arguments),
    )


def _bind(each: Binding) -> Frame:
    bind: Any = commands.Exchange.Bind if each.to_exchange else commands.Queue.Bind
    frame: Frame = bind(0, _end(each), each.source, each.key, arguments=each.arguments)
    return frame


def _unbind(each: Binding) -> Frame:
    unbind: Any = commands.Exchange.Unbind if each.to_exchange else commands.Queue.Unbind
    frame: Frame = unbind(0, _end(each), each.source, each.key, arguments=each.arguments)
    return frame

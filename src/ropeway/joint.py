"""Sending and publishing in a transaction that the caller has open: with it, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from ropeway.capabilities import require
from ropeway.connect import SCHEMES_OF_POSTGRES, appending, publishing
from ropeway.errors import BadArguments, MessageTooLarge, Unsupported
from ropeway.foreign import execute
from ropeway.message import Message
from ropeway.outbox import resting
from ropeway.signing import keys_of
from ropeway.source import Stores
from ropeway.stepping import stepping
from ropeway.transition import Append
from ropeway.unique import Unique


class Joint(Protocol):
    """A call that is to be sent over a connection of the caller's."""

    @property
    def message(self) -> Message:
        """What is sent."""
        ...

    @property
    def unique(self) -> Unique | None:
        """Whether it is to be the only one."""
        ...

    @property
    def connection(self) -> Any:
        """Over what."""
        ...


async def send_jointly(source: Stores, calls: Sequence[Joint]) -> None:
    """Publish in the transaction that is open on the one connection that all calls name."""
    url, outbox = source.settings.outbox or source.settings.url, bool(source.settings.outbox)
    if not outbox:
        require(source.store.capabilities, "joint", "a send in your own transaction")
    connection = calls[0].connection
    if any(call.connection is not connection for call in calls):
        raise BadArguments(
            "calls that are sent together have different connections", hint="send them apart"
        )
    for call in calls:
        _refuse_unfit(call, source.settings.max_message)
        if not outbox:
            _refuse_without_outbox(call.message)
    keys = keys_of(source.settings.signing)
    messages = [keys.signed(call.message) if keys else call.message for call in calls]
    messages = [resting(each) for each in messages] if outbox else messages
    function, text = publishing(url, messages)
    await execute(connection, function, text, stepping=stepping())


async def append_jointly(source: Stores, appends: Sequence[Append], connection: Any) -> None:
    """Append to logs in the transaction that is open on a connection to the database of the store."""
    if urlsplit(source.settings.url).scheme not in SCHEMES_OF_POSTGRES:
        raise Unsupported(
            "events can be published in your own transaction where topics are in PostgreSQL, and "
            "here they are elsewhere",
            hint="use postgresql:// as the store, or publish after the commit",
        )
    function, text = appending(source.settings.url, appends)
    await execute(connection, function, text, stepping=stepping())


def _refuse_unfit(call: Joint, most: int) -> None:
    message = call.message
    if call.unique is not None:
        raise Unsupported(
            f"{message.task} is unique: whether it is the only one is not known before your "
            "transaction has ended",
            hint="send it after the commit, or without unique",
        )
    if len(message.body) > most:
        raise MessageTooLarge(
            f"the arguments of {message.task} take {len(message.body):,} bytes, more than "
            f"max_message={most:,}, and larger ones are no part of your transaction",
            hint="keep the data in a table of yours, and pass its key",
        )


def _refuse_without_outbox(message: Message) -> None:
    if message.key is not None:
        raise Unsupported(
            f"{message.task} has the key {message.key!r}: all calls of a key would wait for the end "
            "of your transaction, those that run too",
            hint="send it after the commit, without a key, or through an outbox",
        )
    if message.mandatory is not None:
        raise Unsupported(
            f"{message.task} is sent to exchange {message.exchange!r}: which queues that means is "
            "not known before your transaction has ended",
            hint="send it to a queue, after the commit, or through an outbox",
        )

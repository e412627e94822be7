"""The other side of each tutorial: a plain client of RabbitMQ that knows nothing of ropeway."""

from __future__ import annotations

import os
import sys
import uuid

import pika
from pika.adapters.blocking_connection import BlockingChannel

URL = os.environ.get("ROPEWAY_BROKER", "amqp://guest:guest@localhost/%2F")


def publish(channel: BlockingChannel, exchange: str, key: str, task: str, body: str) -> None:
    """Send a call: its task is the `type`, its arguments are the body."""
    properties = pika.BasicProperties(
        type=task,
        content_type="application/json",
        message_id=str(uuid.uuid4()),
        delivery_mode=2,
    )
    channel.confirm_delivery()
    channel.basic_publish(exchange, key, body.encode(), properties, mandatory=True)
    print(f" [x] Sent {body}")


def consume(channel: BlockingChannel, queue: str, count: int) -> None:
    """Take messages from a queue."""
    print(" [*] Waiting for messages", flush=True)
    channel.basic_qos(prefetch_count=1)
    for number, (method, properties, body) in enumerate(channel.consume(queue), 1):
        print(f" [x] {method.routing_key} {properties.type}: {body.decode()}", flush=True)
        channel.basic_ack(method.delivery_tag)
        if number == count:
            break


def subscribe(channel: BlockingChannel, exchange: str, key: str, count: int) -> None:
    """Take messages from an exchange, by a queue of this program's own."""
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, exchange, key)
    consume(channel, queue, count)


def call(channel: BlockingChannel, queue: str, task: str, body: str) -> None:
    """Send a call and wait for its result, by direct reply-to."""
    replies = channel.consume("amq.rabbitmq.reply-to", auto_ack=True, inactivity_timeout=20)
    next(channel.consume("amq.rabbitmq.reply-to", auto_ack=True, inactivity_timeout=0.01))
    word = str(uuid.uuid4())
    properties = pika.BasicProperties(
        type=task,
        content_type="application/json",
        reply_to="amq.rabbitmq.reply-to",
        correlation_id=word,
    )
    channel.basic_publish("", queue, body.encode(), properties)
    for _, known, result in replies:
        if known is None:
            sys.exit("no reply came")
        if known.correlation_id == word:
            print(f" [.] {known.type}: {result.decode()}")
            return


def main() -> None:
    """Do what the command line says."""
    verb, *words = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    if verb == "publish":
        publish(channel, *words)
    elif verb == "consume":
        channel.queue_declare(words[0], durable=True, arguments={"x-queue-type": "quorum"})
        consume(channel, words[0], int(words[1]))
    elif verb == "subscribe":
        subscribe(channel, words[0], words[1], int(words[2]))
    elif verb == "call":
        call(channel, *words)
    connection.close()


if __name__ == "__main__":
    main()

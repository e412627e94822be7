"""RabbitMQ: quorum queues, confirms, and consumers that are sent messages ahead of need."""

from ropeway.backends.rabbitmq.address import parse
from ropeway.backends.rabbitmq.half import RabbitHalf

__all__ = ["RabbitHalf", "parse"]

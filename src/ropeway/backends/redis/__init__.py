"""Redis and Valkey: one script for each verb, all keys of a namespace in one slot."""

from ropeway.backends.redis.address import parse
from ropeway.backends.redis.backend import RedisBackend
from ropeway.backends.redis.blocking import BlockingLink
from ropeway.backends.redis.looped import LoopedLink

__all__ = ["BlockingLink", "LoopedLink", "RedisBackend", "parse"]

"""Messages and records in this process: the reference that the other backends are compared with."""

from ropeway.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]

"""Backends made of another backend: each keeps the contract of what it wraps."""

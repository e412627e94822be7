"""Redis and Valkey: one script for each verb, all keys of a namespace in one slot."""

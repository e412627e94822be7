"""Power cuts: what a disk holds when everything above it is gone at once."""

"""What `ropeway dev` is made of: a watch over files, a worker, and the loop that replaces it."""

"""Technologies that hold messages and records; each is a folder or file of its own."""

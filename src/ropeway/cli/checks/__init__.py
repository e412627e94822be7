"""What `ropeway doctor` looks at, one subject a file."""

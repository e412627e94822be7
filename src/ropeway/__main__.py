"""`python -m ropeway` is the command line."""

from ropeway.cli import main

if __name__ == "__main__":
    main(prog_name="ropeway")

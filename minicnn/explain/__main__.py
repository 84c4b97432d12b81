"""``python -m minicnn.explain``."""

from minicnn import command
from minicnn.explain.options import main

__all__ = ["main"]

if __name__ == "__main__":
    command.process(main)

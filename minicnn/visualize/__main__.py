"""``python -m minicnn.visualize``."""

from minicnn import command
from minicnn.visualize.options import main

__all__ = ["main"]

if __name__ == "__main__":
    command.process(main)

"""``python -m minicnn.learn``."""

from minicnn import command
from minicnn.learn.options import main

__all__ = ["main"]

if __name__ == "__main__":
    command.process(main)

"""``python -m minicnn.predict``."""

from minicnn import command
from minicnn.predict.options import main

__all__ = ["main"]

if __name__ == "__main__":
    command.process(main)

"""``python -m minicnn.d2l``: run a chapter of the book on this engine."""

from minicnn import command
from minicnn.d2l.book.options import main

__all__ = ["main"]

if __name__ == "__main__":
    command.process(main)

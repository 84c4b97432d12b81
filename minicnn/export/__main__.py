"""``python -m minicnn.export``: hand a trained net over to other software."""

from minicnn import command
from minicnn.export.options import main

if __name__ == "__main__":
    command.process(main)

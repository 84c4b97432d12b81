"""``python -m minicnn.sweep``: many trainings, on this machine's cores or on a Dask cluster."""

from minicnn import command
from minicnn.sweep.options import main

if __name__ == "__main__":
    command.process(main)

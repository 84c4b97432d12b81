"""``python -m minicnn.train``: train LeNet on Fashion-MNIST and keep what came of it."""

from minicnn import command
from minicnn.train.options import main

if __name__ == "__main__":
    command.process(main)

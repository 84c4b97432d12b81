"""``python -m minicnn.predict``: what a trained net says of pictures of your own.

``reading`` reads a picture of any kind, ``looks`` measures what the training pictures look like,
``ink`` tells a drawing from its paper, ``prepare`` makes it look like the training pictures,
``neighbours`` says how far it is from them, ``classifier`` puts these together; ``options`` is the
command line, ``draw`` its picture.
"""

from __future__ import annotations

from minicnn.predict.classifier import Classifier, Prediction
from minicnn.predict.reading import PictureError

__all__ = ["Classifier", "PictureError", "Prediction", "main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command, as ``python -m minicnn.predict`` does; returns the exit status."""
    from minicnn.predict import options  # which a program that only classifies does without

    return options.main(argv)

"""Training: ``python -m minicnn.train``, and the loop that ``minicnn.fit`` is.

``options`` is the command line, ``recipe`` how each model is trained, ``loop`` the training itself,
``callbacks`` what looks on, ``measure`` what is measured, ``report`` what is printed, ``run`` the
folder with the results.
"""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run the command, as ``python -m minicnn.train`` does; returns the exit status."""
    from minicnn.train import options  # which a program that only calls ``fit`` does without

    return options.main(argv)

"""Training: ``python -m minicnn.train``, and the loop that ``minicnn.fit`` is.

``options`` is the command line, ``job`` what it does, ``recipe`` how each model is trained,
``loop`` the training itself, ``callbacks`` what looks on, ``measure`` what is measured, ``report``
what is printed, ``run`` the folder with the results, ``state`` what a training goes on from.
"""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run the command, as ``python -m minicnn.train`` does; returns the exit status."""
    from minicnn.train import options  # which a program that only calls ``fit`` does without

    return options.main(argv)

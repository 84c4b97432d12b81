"""The tape, drawn: the operations that ``backward`` will walk through, and what they keep for it.

    from minicnn import explain

    loss = nn.CrossEntropyLoss()(net(x), y)
    explain.tape(loss)  # a notebook shows the picture
    print(explain.tape(loss))  # a terminal the same as a table
    explain.tape(loss).save("tape.svg")

read.py turns the nodes of the tape into steps (steps.py). table.py prints them; places.py lays them
out, and picture.py draws them as SVG.
"""

from .read import Tape, tape
from .steps import Argument, Kept, Step, size_text

__all__ = ["Argument", "Kept", "Step", "Tape", "size_text", "tape"]

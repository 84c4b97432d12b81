"""What a machine with a GPU has to show, in one command of ten minutes.

    python -m benchmarks.gpu_proof [--out DIR] [--minutes 10] [--record]

``parts`` lists what is run, the most telling first; ``running`` runs each in a process of its own,
with a limit: a part that fails, that hangs, or whose tool is missing does not end the others.
``measures`` has what is measured in minicnn, ``rivals`` PyTorch's epochs. ``entry`` writes the
record: what docs/gpu-runs.md keeps.
"""

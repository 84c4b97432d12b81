"""Random programs: what a user may do with a net, in any order (``machine.py``)."""

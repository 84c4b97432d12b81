"""Predictions for a few images, one after the other: lanes are neighbouring pixels of one image.

A tile always computes 16 images; for one image 15 parts of 16 would be in vain. ``docs/compile.md``
says how one image is laid out ("One image"). ``lower`` has the table of lowerings, ``engine`` runs
the plan. Only a prediction has such a plan, and only a chain whose operations all stand in that
table; every other one is computed in tiles.
"""

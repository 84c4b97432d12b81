"""A course: write the backward passes yourself, and be told which slip a wrong one has.

    python -m minicnn.learn start course

makes a folder with a file for each exercise. In Python, for a course of one's own:

    from minicnn import learn
    print(learn.diagnose(fn, reference, inputs))  # the slip, the first wrong cell, both numbers
"""

from minicnn.learn.course import COURSE, Exercise
from minicnn.learn.diagnosis import Diagnosis, diagnose
from minicnn.learn.judge import grade

__all__ = ["COURSE", "Diagnosis", "Exercise", "diagnose", "grade"]

"""The pictures: a function each."""

from .activations import draw_activations
from .confusion import draw_confusion
from .filters import draw_filters
from .gradients import draw_gradients
from .mistakes import draw_mistakes

__all__ = [
    "draw_activations",
    "draw_confusion",
    "draw_filters",
    "draw_gradients",
    "draw_mistakes",
]

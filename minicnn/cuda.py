"""Whether there is a GPU, by the name under which PyTorch's programs ask for it."""

from minicnn.device import gpu_problem

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether the first GPU can be used here. ``device.gpu_problem`` says what keeps it from it."""
    return gpu_problem() is None

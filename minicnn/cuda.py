"""``cuda.is_available()``, as PyTorch's programs ask for a GPU."""

from minicnn.device import gpu_problem

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether the first GPU can be used here; if not, ``device.gpu_problem`` says why."""
    return gpu_problem() is None

"""BLAS, kept on one thread while threads of ours use it."""

from __future__ import annotations

import threading

from ..locks import whole_at_fork
from ..numpy_threads import BLAS


class _OneBlasThread:
    """Keeps BLAS on one thread while any thread of ours is inside (``with one_blas_thread``).

    Several may be inside at the same time, so they are counted. ``ThreadpoolController.limit`` does
    the same, but inspects every library at each call, and a training step makes a dozen. With
    either, OpenBLAS (except its OpenMP builds) obeys only the first Python thread that asks, as
    long as that thread lives.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.libraries = BLAS.lib_controllers
        whole_at_fork(self.lock, self._leave)

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.before = [library.get_num_threads() for library in self.libraries]
                for library in self.libraries:
                    library.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            if self.inside == 0:  # a child of a fork within: it has given back
                return
            self.inside -= 1
            if self.inside == 0:
                self._give_back()

    def _give_back(self) -> None:
        for library, threads in zip(self.libraries, self.before, strict=True):
            library.set_num_threads(threads)

    def _leave(self) -> None:
        """In a forked child nobody is inside: it has none of its parent's threads."""
        if self.inside:
            self.inside = 0
            self._give_back()


one_blas_thread = _OneBlasThread()

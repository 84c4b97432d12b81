"""The names of blocks, as MXNet counts them."""

from __future__ import annotations

from collections import Counter


class Names:
    """How MXNet counts: conv0, conv1, dense0... in the process, and by itself in a name_scope."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.scopes: list[tuple[str, Counter[str]]] = []

    def counted(self, hint: str) -> str:
        """``hint`` and its number, after the prefix of the scope."""
        counts = self.scopes[-1][1] if self.scopes else self.counts
        counts[hint] += 1
        return self.inside(f"{hint}{counts[hint] - 1}")

    def inside(self, name: str) -> str:
        """``name`` after the prefix of the scope."""
        return (self.scopes[-1][0] if self.scopes else "") + name


names = Names()


class Scope:
    """``with net.name_scope():`` names begin with the net's prefix."""

    def __init__(self, prefix: str):
        self.scope = prefix, Counter[str]()

    def __enter__(self) -> None:
        names.scopes.append(self.scope)

    def __exit__(self, *exception: object) -> None:
        names.scopes.pop()

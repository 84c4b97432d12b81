"""``tf.data.Dataset``: elements one after the other, made when they are wanted.

A data set is an order of keys and a function from key to element. So shuffling costs no elements,
and a batch of rows is cut from the arrays at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.making import constant
from minicnn.d2l.facades.keras.shaping import stack as stacked
from minicnn.random import default_generator
from minicnn.tensor import Tensor as EngineTensor

AUTOTUNE = -1
INFINITE, UNKNOWN = -1, -2

Element = Any  # a tensor, or tuples and dicts of them


class Dataset:
    """Elements in an order; iterating begins again each time.

    Args:
        order: the keys, from the beginning.
        element: of a key.
        length: how many; INFINITE, UNKNOWN.
        rows: the elements of several keys as one batch; None: they are stacked.
    """

    def __init__(
        self,
        order: Callable[[], Iterable[Any]],
        element: Callable[[Any], Element],
        length: int,
        rows: Callable[[Any], Element] | None = None,
    ):
        self._order, self._element, self._length, self._rows = order, element, length, rows

    # Sources --------------------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> Dataset:
        """An element for each row of an array, or of a tuple or dict of arrays."""
        arrays = _map(tensors, lambda x: as_tensor(x).tensor)
        lengths = {len(x) for x in _leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(
                f"from_tensor_slices: the arrays have {sorted(lengths)} rows; wanted "
                "the same number in all"
            )
        length = lengths.pop()

        def rows(keys: Any) -> Element:
            return _map(arrays, lambda x: Tensor(_picked(x, keys)))

        def row(key: int) -> Element:
            return _map(arrays, lambda x: Tensor(x[key]))

        return cls(lambda: range(length), row, length, rows)

    @classmethod
    def from_tensors(cls, tensors: Any) -> Dataset:
        """One element."""
        element = _map(tensors, as_tensor)
        return cls(lambda: (0,), lambda _: element, 1)

    @classmethod
    def from_generator(
        cls, generator: Callable[[], Iterable[Any]], output_types: Any = None, **options: Any
    ) -> Dataset:
        """The elements of a function that returns an iterator, in these dtypes."""
        mistakes.refuse("from_generator", options, "generator, output_types")

        def element(value: Any) -> Element:
            return _map(value, as_tensor, *(() if output_types is None else (output_types,)))

        return cls(generator, element, UNKNOWN)

    @classmethod
    def range(cls, *bounds: int) -> Dataset:
        """Whole numbers, int64."""
        numbers = range(*bounds)
        return cls(lambda: numbers, lambda n: constant(n, "int64"), len(numbers))

    @classmethod
    def zip(cls, *datasets: Any) -> Dataset:
        """Tuples of elements, as long as all have one."""
        parts = datasets[0] if isinstance(datasets[0], tuple | list) else datasets
        lengths = [part._length for part in parts]
        known = [n for n in lengths if n >= 0]
        length = UNKNOWN if UNKNOWN in lengths else min(known, default=INFINITE)

        def elements(keys: Any) -> Element:
            return tuple(part._element(key) for part, key in zip(parts, keys, strict=True))

        return cls(lambda: zip(*(p._order() for p in parts), strict=False), elements, length)

    # Changes --------------------------------------------------------------------------------------

    def _but(self, order: Callable[[], Iterable[Any]], length: int) -> Dataset:
        return Dataset(order, self._element, length, self._rows)

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """``batch_size`` elements as one; the last may be smaller. Always one after the other."""
        size = int(batch_size)
        if size < 1:
            raise ValueError(f"batch: batch_size is {batch_size!r}; wanted at least 1")

        def order() -> Iterator[Any]:
            keys = iter(self._order())
            while chunk := tuple(itertools.islice(keys, size)):
                if len(chunk) == size or not drop_remainder:
                    yield chunk

        length = self._length
        if length >= 0:
            length = length // size if drop_remainder else -(-length // size)
        return Dataset(order, self._rows or self._stack, length)

    def _stack(self, keys: Any) -> Element:
        elements = [self._element(key) for key in keys]
        return _map(elements[0], lambda *parts: stacked(list(parts)), *elements[1:])

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
    ) -> Dataset:
        """Another order: each element is drawn from the next ``buffer_size``.

        It is another one in every iteration, unless ``reshuffle_each_iteration=False``.
        """
        size = int(buffer_size)
        if size < 1:
            raise ValueError(f"shuffle: buffer_size is {buffer_size!r}; wanted at least 1")
        generator = None if seed is None else np.random.default_rng(seed)
        fixed = None
        if reshuffle_each_iteration is False:
            fixed = seed if seed is not None else int(default_generator().integers(2**32))

        def order() -> Iterator[Any]:
            draw = generator or default_generator()
            if fixed is not None:
                draw = np.random.default_rng(fixed)
            keys = iter(self._order())
            buffer = list(itertools.islice(keys, size))
            while buffer:
                i = int(draw.integers(len(buffer)))
                following = list(itertools.islice(keys, 1))
                buffer[i], drawn = (following or buffer[-1:])[0], buffer[i]
                if not following:
                    buffer.pop()
                yield drawn

        return self._but(order, self._length)

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """``map_func`` of each element; of a tuple its parts are the arguments.

        Always one after the other.
        """

        def element(key: Any) -> Element:
            given = self._element(key)
            result = map_func(*given) if isinstance(given, tuple) else map_func(given)
            return _map(result, as_tensor)

        return Dataset(self._order, element, self._length)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which ``predicate`` is true."""

        def holds(key: Any) -> bool:
            given = self._element(key)
            return bool(predicate(*given) if isinstance(given, tuple) else predicate(given))

        return self._but(lambda: filter(holds, self._order()), UNKNOWN)

    def take(self, count: int) -> Dataset:
        """The first ``count`` elements; -1: all."""
        if count < 0:
            return self
        length = count if self._length == INFINITE else min(self._length, count)
        return self._but(lambda: itertools.islice(self._order(), count), length)

    def skip(self, count: int) -> Dataset:
        """Without the first ``count`` elements."""
        length = self._length if self._length < 0 else max(0, self._length - count)
        return self._but(lambda: itertools.islice(self._order(), count, None), length)

    def repeat(self, count: int | None = None) -> Dataset:
        """The same again, ``count`` times, or without end."""
        times = -1 if count is None else count
        length = self._length if self._length < 0 else self._length * times

        def order() -> Iterator[Any]:
            for _ in itertools.count() if times < 0 else range(times):
                yield from self._order()

        return self._but(order, INFINITE if times < 0 else length)

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs (number, element)."""
        numbers = Dataset(lambda: itertools.count(start), lambda n: constant(n, "int64"), INFINITE)
        return Dataset.zip(numbers, self)

    def concatenate(self, dataset: Dataset) -> Dataset:
        """These elements, and then the other's."""
        parts = (self, dataset)
        lengths = [part._length for part in parts]
        return Dataset(
            lambda: ((part, key) for part in parts for key in part._order()),
            lambda key: key[0]._element(key[1]),
            min(lengths) if min(lengths) < 0 else sum(lengths),
        )

    def prefetch(self, buffer_size: Any) -> Dataset:
        """Itself: elements are made when they are wanted."""
        return self

    def cache(self) -> Dataset:
        """What the first whole pass gives, in all later ones too: its elements are kept.

        Of rows of arrays only the order is kept.
        """
        kept: list[Any] = []

        def order() -> Iterator[Any]:
            if kept:
                yield from kept
                return
            passed = []
            for key in self._order() if self._rows else self:
                passed.append(key)
                yield key
            kept[:] = passed

        element = self._element if self._rows else lambda kept: kept
        return Dataset(order, element, self._length, self._rows)

    # Reading --------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Element]:
        return map(self._element, self._order())

    def __len__(self) -> int:
        if self._length < 0:
            raise TypeError(
                "The dataset is infinite."
                if self._length == INFINITE
                else "The dataset length is unknown."
            )
        return self._length

    def __bool__(self) -> bool:
        return True

    def cardinality(self) -> Tensor:
        """How many elements, int64; -1 for no end, -2 where it is not known."""
        return constant(self._length, "int64")

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as NumPy arrays."""
        return (_map(element, lambda x: x.numpy()) for element in self)

    def __repr__(self) -> str:
        return f"<Dataset of {self._length if self._length >= 0 else 'unknown'} elements>"


def cardinality(dataset: Dataset) -> Tensor:
    """``tf.data.experimental.cardinality``."""
    return dataset.cardinality()


def _picked(x: EngineTensor, keys: Any) -> EngineTensor:
    """The rows with these numbers; a view where they follow each other."""
    first = keys[0]
    if keys == tuple(range(first, first + len(keys))):
        return x[first : first + len(keys)]
    return x[np.array(keys)]


def _map(nested: Any, function: Callable[..., Any], *others: Any) -> Any:
    """``function`` of each leaf of tuples and dicts (and of the leaves of others like it)."""
    if isinstance(nested, tuple):
        return tuple(
            _map(*parts[:1], function, *parts[1:]) for parts in zip(nested, *others, strict=True)
        )
    if isinstance(nested, dict):
        return {k: _map(v, function, *(other[k] for other in others)) for k, v in nested.items()}
    return function(nested, *others)


def _leaves(nested: Any) -> Iterator[Any]:
    if isinstance(nested, tuple | dict):
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _leaves(part)
    else:
        yield nested

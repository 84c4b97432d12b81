"""minicnn's nets as a scikit-learn classifier, for pipelines, searches and cross-validation.

Needs the extra ``sklearn``; ``import minicnn`` does not load this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minicnn.formats import shown

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "minicnn.sklearn needs scikit-learn: pip install 'scikit-learn>=1.5'", name=error.name
    ) from error
try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5 has it as a method

    def validate_data(estimator: Any, *arrays: Any, **checks: Any) -> Any:
        """The arrays, checked, and what was learnt of them kept in the estimator."""
        return estimator._validate_data(*arrays, **checks)


from minicnn import compiler, models, nn
from minicnn.checks import check_integer, check_number, check_one_of, check_sequence
from minicnn.data import DataLoader
from minicnn.device import resolve
from minicnn.nn.modes import in_evaluation_mode
from minicnn.random import Draws, drawing_from
from minicnn.tensor import Tensor, no_grad
from minicnn.train.batches import BATCH_SIZE, Inputs
from minicnn.train.loop import fit
from minicnn.train.measure import History
from minicnn.train.recipe import RECIPES, SCHEDULES, Recipe, with_enough_updates

SMALLEST_FOR_LENET = 12  # rows and columns: less leaves nothing to pool a second time
ENOUGH = 16  # images that a compiled prediction computes together, in one tile

__all__ = ["CNNClassifier"]


class CNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A net for pictures, as a scikit-learn classifier.

    X is (N, H*W), (N, H, W) or (N, C, H, W), of any range: the smallest number of the training data
    becomes 0 and the largest 1, so that pixels of 0..255 and of 0..1 train the same net. Columns in
    unlike units want a scaler before this step.

    A row whose length is a square is a grey picture of that many pixels. Any other row is a picture
    of 1 x n cells, for an MLP. ``image_shape`` says what a row is otherwise.

    Parameters:
        model: "lenet", "lenet-max", "lenet-plus", "mlp" (``models.PRESETS``), or a function that
            makes a net: ``make(image_shape=(C, H, W), classes=K)``, from (N, C, H, W) to logits
            (N, K); ``functools.partial(models.lenet, pool="max")`` is one. "auto" is "lenet" for
            pictures of 12 x 12 cells and more, otherwise "mlp".
        image_shape: of a row: (channels, height, width).
        epochs: passes over the training data. None: the model's recipe, as of
            ``python -m minicnn.train``; on few pictures as many as give 1,400 updates.
        lr, batch_size, momentum, weight_decay: of SGD. None: the model's recipe.
        schedule: of the learning rate, "constant" or "cosine". None: the model's recipe.
        random_state: of weights, order of the pictures and dropout: an int, a
            ``numpy.random.RandomState`` or None. ``minicnn.manual_seed`` has no part in it.
        device: "cpu", "gpu" or "gpu:<number>".
        compile: train and predict with ``minicnn.compile`` where its kernels are installed: faster.
            A net of your own that it does not know wants False.
        warm_start: a second ``fit`` goes on from the net of the first one.
        verbose: show a progress bar and a line an epoch.

    Attributes:
        classes_: the labels, sorted: column k of ``predict_proba`` is ``classes_[k]``.
        n_features_in_: numbers in a picture, C*H*W.
        feature_names_in_: the columns' names, where X was a table that has them.
        image_shape_: (C, H, W).
        range_: the smallest and the largest number of the training data.
        net_: the trained net, ``nn.Module``. Its input is (X - smallest) / (largest - smallest).
        history_: the measurements of all epochs, ``minicnn.History``.

    The semantics are those of scikit-learn's ``MLPClassifier``. Sample weights are not supported.
    """

    def __init__(
        self,
        model: str | Callable[..., nn.Module] = "auto",
        *,
        image_shape: Sequence[int] | None = None,
        epochs: int | None = None,
        lr: float | None = None,
        batch_size: int | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        schedule: str | None = None,
        random_state: Any = None,
        device: str = "cpu",
        compile: bool = True,
        warm_start: bool = False,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.image_shape = image_shape
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.random_state = random_state
        self.device = device
        self.compile = compile
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new net; with ``warm_start``, after the first time, the same net further.

        Args:
            X: numbers, (N, features), (N, H, W) or (N, C, H, W).
            y: the class of each, (N,): integers, strings...

        Raises:
            ValueError: shapes that do not fit together, NaN, an argument that cannot be; with
                ``warm_start``, other classes or another picture's size than before.
            CompileError: a net of your own that ``minicnn.compile`` does not know.
            DivergedError: the loss grew a hundredfold.
        """
        self._check_settings()
        goes_on = self.warm_start and hasattr(self, "net_")
        rows, labels = self._checked(X, y, first=not goes_on)
        recipe = self._recipe(len(rows))
        if not goes_on:
            self._begin(rows, np.unique(labels))
        self._optimizer = recipe.optimizer_of(self.net_)
        self._train(rows, labels, recipe, recipe.schedule_of(self._optimizer))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train one epoch on these pictures, from where the net stands.

        The first call makes the net: ``range_`` is that of its pictures, and ``classes`` are all
        labels that any call will bring. Momentum goes on from call to call, the learning rate is
        constant.

        Raises:
            ValueError: as ``fit``; no ``classes`` at the first call, or a label that is none of
                them.
        """
        self._check_settings()
        first = not hasattr(self, "net_")
        if first and classes is None:
            raise ValueError("classes is None; wanted all labels at the first call to partial_fit")
        rows, labels = self._checked(X, y, first=first)
        recipe = self._recipe(len(rows))._replace(epochs=1)
        if first:
            self._begin(rows, np.unique(classes))
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes is {shown(classes)}; it was {self.classes_!r} at the first call"
            )
        if not hasattr(self, "_optimizer"):
            self._optimizer = recipe.optimizer_of(self.net_)
        self._train(rows, labels, recipe, None)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The most likely class of each picture, (N,), of the kind that ``y`` was."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, (N, classes): the softmax of the net's logits.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: pictures of another size than those of ``fit``, or NaN.
        """
        check_is_fitted(self, "net_")
        logits = np.concatenate(list(self._logits(self._checked(X))))
        e = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
        return e / e.sum(axis=1, keepdims=True)

    def _checked(self, X: Any, *y: Any, first: bool = False) -> Any:
        """X as rows (N, C*H*W), and y (N,) if there is one; ``first``: what later X have to fit."""
        shape = getattr(X, "shape", (0, 0))[1:]
        if len(shape) in (2, 3):
            X = np.asarray(X).reshape(len(X), math.prod(shape))
            shape = (1, *shape)[-3:]
        else:
            shape = ()  # rows
        checked = validate_data(self, X, *y, reset=first)
        columns = (checked[0] if y else checked).shape[1]
        if y:
            check_classification_targets(checked[1])
        if first:
            self.image_shape_ = self._shape_of(shape, columns)
        elif shape not in ((), self.image_shape_):
            raise ValueError(f"X has pictures of {shape}; wanted {self.image_shape_}, as in fit")
        return checked

    def _shape_of(self, shape: tuple[int, ...], columns: int) -> tuple[int, ...]:
        """(C, H, W) of a picture: as told, as X has it, square, or 1 x columns."""
        if self.image_shape is not None:
            check_sequence("image_shape", self.image_shape, "(channels, height, width)")
            told = tuple(self.image_shape)
            whole = all(isinstance(size, int | np.integer) for size in told)
            if len(told) != 3 or not whole or min(told) < 1:
                raise ValueError(f"image_shape is {shown(told)}; wanted (channels, height, width)")
            if shape not in ((), told) or math.prod(told) != columns:
                found = f"pictures of {shape}" if shape else f"{columns} columns"
                raise ValueError(f"image_shape is {told}, X has {found}; wanted one size")
            return told
        side = math.isqrt(columns)
        square = side**2 == columns
        if not (shape or square) and self.model in models.PRESETS and self.model != "mlp":
            raise ValueError(
                f"X has {columns} columns, which are no square picture for {self.model}; wanted "
                "image_shape=(channels, height, width), or model='mlp'"
            )
        return shape or ((1, side, side) if square else (1, 1, columns))

    def _begin(self, rows: NDArray[Any], classes: NDArray[Any]) -> None:
        """A new net, and what is known before it is trained."""
        self.classes_ = classes
        self.range_ = float(rows.min()), float(rows.max())
        self.history_ = History()
        seed = check_random_state(self.random_state).randint(2**31)
        self._draws = Draws(int(seed))
        with drawing_from(self._draws):
            self.net_ = self._make_net().to(resolve(self.device))
        first = next(self._logits(rows[:1], compiled=False))  # which gives lazy layers their sizes
        if first.shape != (1, len(classes)):
            del self.net_
            raise ValueError(
                f"model made a net whose output for a picture is {first.shape}; wanted "
                f"(1, {len(classes)}), one logit a class"
            )

    def _make_net(self) -> nn.Module:
        arguments = {"image_shape": self.image_shape_, "classes": len(self.classes_)}
        if isinstance(self.model, str):
            return models.build(self._model_name(), **arguments)
        return self.model(**arguments)

    def _model_name(self) -> Any:
        if not isinstance(self.model, str) or self.model != "auto":
            return self.model
        return "lenet" if min(self.image_shape_[1:]) >= SMALLEST_FOR_LENET else "mlp"

    def _recipe(self, images: int) -> Recipe:
        """The model's recipe, with what the arguments change."""
        own_net = Recipe(epochs=10, lr=0.1)
        name = self._model_name()
        recipe = RECIPES.get(name, own_net) if isinstance(name, str) else own_net
        arguments = {name: getattr(self, name, None) for name in Recipe._fields}
        recipe = recipe._replace(**{k: v for k, v in arguments.items() if v is not None})
        return with_enough_updates(recipe, images) if self.epochs is None else recipe

    def _check_settings(self) -> None:
        """Refuse what the arguments cannot be; scikit-learn wants this in ``fit``."""
        made = isinstance(self.model, nn.Module)  # which can be called too, but makes no net
        if not isinstance(self.model, str) and (made or not callable(self.model)):
            raise TypeError(
                f"model is a {type(self.model).__name__}; wanted a name, or a function that makes "
                "a net: make(image_shape=..., classes=...)"
            )
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        for name in ("lr", "momentum", "weight_decay"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), at_least=0)
        if self.schedule is not None:
            check_one_of("schedule", self.schedule, SCHEDULES)

    def _train(self, rows: Any, labels: Any, recipe: Recipe, schedule: Any) -> None:
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has {shown(unknown[0])}, which is none of the classes {self.classes_}"
            )
        pictures = Inputs(
            self._scaled(rows), np.searchsorted(self.classes_, labels), len(self.classes_)
        )
        loader = DataLoader(pictures, recipe.batch_size, shuffle=True, device=self.device, raw=True)
        with drawing_from(self._draws):
            fit(
                self.net_,
                loader,
                optimizer=self._optimizer,
                epochs=recipe.epochs,
                schedule=schedule,
                divide_by=recipe.divisor,
                history=self.history_,
                quiet=not self.verbose,
                compile=self._compiled(),
            )

    def _compiled(self) -> bool:
        return self.compile and compiler.is_available(self.device)

    def _scaled(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows as pictures (N, C, H, W): the training data's range becomes 0..1."""
        smallest, largest = self.range_
        dtype = np.result_type(rows.dtype, np.float32)
        scaled = np.subtract(rows, smallest, dtype=dtype)
        scaled /= (largest - smallest) or 1
        return scaled.reshape(-1, *self.image_shape_).astype(np.float32, copy=False)

    def _logits(self, rows: Any, compiled: bool | None = None) -> Iterator[NDArray[np.float32]]:
        """The net's logits, a batch at a time."""
        compiled = self._compiled() if compiled is None else compiled
        predict = compiler.compile(self.net_) if compiled else self.net_
        with in_evaluation_mode(self.net_), no_grad():
            for start in range(0, len(rows), BATCH_SIZE):
                some = rows[start : start + BATCH_SIZE]
                # Of a few images a compiled prediction rounds differently. Here a row's digits must
                # not depend on which others come with it: so there are always enough.
                enough = np.resize(some, (max(len(some), ENOUGH), *some.shape[1:]))
                batch = Tensor(self._scaled(enough))
                yield predict(batch.to(self.device)).to("cpu").data[: len(some)]

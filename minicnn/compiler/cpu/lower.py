"""What each operation becomes in a plan: its instructions forward and, beside them, backward.

``LOWERINGS`` says which operations can be compiled. A lowering's ``forward`` takes the buffer with
the input and returns that with the result; ``backward`` takes dy and returns dx (None where nobody
needs it). Shapes and names as in ``minicnn.ops``; a geometry's details are in ``kernels.tiles``.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minicnn import nn, ops
from minicnn.kernels import cpu, tiles
from minicnn.kernels.arrays import LANES, MASK, NONE
from minicnn.nn.functional.norm import move_running

from ..record import ACTIVATIONS, CompileError, Stage, lowering_of
from .plan import Buffer, Plan, shapes


class Lowering:
    """One stage of the chain.

    Attributes:
        needs_dinput: whether anything before it learns.
        learns: for each of its parameters, whether it wants a gradient.
    """

    def __init__(self, stage: Stage, needs_dinput: bool):
        self.stage, self.needs_dinput = stage, needs_dinput
        self.operation: Any = stage.operation
        self.learns = [p.requires_grad for p in stage.parameters]

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        """Emit the forward instructions."""
        raise NotImplementedError

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        """Emit the backward instructions."""
        raise NotImplementedError


class Images:
    """The batch's pictures. A convolution asks for them in a frame of zeros right away."""

    def __init__(self, shape: tuple[int, ...], of_bytes: bool):
        self.shape = shape if len(shape) == 3 else (prod(shape), 1, 1)
        self.of_bytes = of_bytes

    def load(self, plan: Plan, frame: dict[str, int] | None = None) -> Buffer:
        """Emit the loading of the pictures."""
        c, h, w = self.shape
        frame = frame or _frame((c, h, w), (1, 1), (0, 0), (h, w))
        framed = (c, frame["framed_height"], frame["framed_width"] * frame["stride_width"])
        images = plan.buffer(framed, by_tile=True)
        plan.emit(
            tiles.LOAD_IMAGES,
            "load images",
            shapes(self.shape, framed),
            out=images,
            out_tile=images.cells * LANES,
            kind=int(self.of_bytes),
            **frame,
        )
        return images


def _frame(
    shape: tuple[int, ...], stride: Any, padding: Any, framed: tuple[int, ...]
) -> dict[str, int]:
    """The fields that say how a picture lies in its frame of ``framed`` cells."""
    return {
        "channels": shape[0],
        "height": shape[1],
        "width": shape[2],
        "pad_height": padding[0],
        "pad_width": padding[1],
        "stride_width": stride[1],
        "framed_height": framed[0],
        "framed_width": -(-framed[1] // stride[1]),
    }


class Conv2d(Lowering):
    """See ``ops.conv``. A line of outputs is one ``product`` over lines of the input."""

    def forward(self, plan: Plan, x: Buffer | Images) -> Buffer:
        (sh, sw), (ph, pw), (dh, dw) = self.operation.window
        oh, ow = self.operation.output
        weight, self.shape = self.stage.parameters[0], self.stage.input_shape
        self.o, c, kh, kw = weight.shape
        _, h, w = self.shape
        # what the windows reach; the frame may be larger than the padding, never smaller
        rows = max(h + 2 * ph, (oh - 1) * sh + (kh - 1) * dh + 1)
        columns = max(w + 2 * pw, (ow - 1) * sw + (kw - 1) * dw + 1)
        self.frame = _frame(self.shape, (sh, sw), (ph, pw), (rows, columns))
        fw = self.frame["framed_width"]
        self.framed_shape = (c, rows, sw * fw)
        self.is_framed = sw > 1 or (rows, columns) != (h, w)
        self.x = self._framed(plan, x)

        self.taps = c * kh * kw
        self.line = sw * fw * LANES  # one line of a channel, in its frame
        self.columns = [((j * dw) % sw * fw + (j * dw) // sw) * LANES for j in range(kw)]
        self.x_taps = plan.table(
            [
                (k * rows + i * dh) * self.line + self.columns[j]
                for k in range(c)
                for i in range(kh)
                for j in range(kw)
            ]
        )
        plane = oh * ow * LANES
        self.y_rows = plan.table(range(0, self.o * plane, plane))
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        y = plan.buffer((self.o, oh, ow), by_tile=True)
        self.x_step = {"line": sh * self.line, "tile": self.x.cells * LANES}
        self.y_step = {"line": ow * LANES, "tile": y.cells * LANES}
        self.flops = 2 * y.cells * self.taps
        plan.emit(
            tiles.PRODUCT_OF_LINES,
            "conv",
            f"{shapes(self.shape, y.shape)}, {kh}x{kw}",
            self.flops,
            out=y,
            inp=self.x,
            weight=self.places[0],
            rows=self.o,
            y_rows=self.y_rows,
            w_rows=plan.table(range(0, self.o * self.taps, self.taps)),
            x_taps=self.x_taps,
            w_taps=plan.table(range(self.taps)),
            lines=oh,
            line_table=plan.table(
                [
                    number
                    for r in range(oh)
                    for number in (r * self.y_step["line"], r * self.x_step["line"], 0, self.taps)
                ]
            ),
            length=ow * LANES,
            out_tile=self.y_step["tile"],
            inp_tile=self.x_step["tile"],
            **_bias(self.places),
        )
        return y

    def _framed(self, plan: Plan, x: Buffer | Images) -> Buffer:
        if isinstance(x, Images):
            return x.load(plan, self.frame)
        if not self.is_framed:
            return x
        return _copy(plan, tiles.FRAME, "frame", x, self.framed_shape, self.frame)

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.learns[0]:
            self._dweight(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            plane = prod(dy.shape[1:]) * LANES
            plan.emit(
                tiles.SUM_ROWS,
                "conv dbias",
                shapes(dy.shape, (self.o,)),
                dy.cells,
                inp=dy,
                bias=self.places[1],
                rows=self.o,
                pitch=plane,
                length=plane,
                inp_tile=self.y_step["tile"],
                by_tile=1,
            )
        return self._dinput(plan, dy) if self.needs_dinput else None

    def _dweight(self, plan: Plan, dy: Buffer) -> None:
        plan.emit(
            tiles.CONV_DWEIGHT,
            "conv dweight",
            shapes(dy.shape, self.stage.parameters[0].shape),
            self.flops,
            out=dy,
            inp=self.x,
            weight=self.places[0],
            rows=self.o,
            y_rows=self.y_rows,
            taps=self.taps,
            x_taps=self.x_taps,
            lines=dy.shape[1],
            length=self.y_step["line"],
            out_line=self.y_step["line"],
            out_tile=self.y_step["tile"],
            inp_line=self.x_step["line"],
            inp_tile=self.x_step["tile"],
        )

    def _dinput(self, plan: Plan, dy: Buffer) -> Buffer:
        """Line h of dx: its rows (c, j) sum over the taps (i, o) whose line of dy exists."""
        (sh, _), _, (dh, _) = self.operation.window
        o, c, kh, kw = self.stage.parameters[0].shape
        oh, plane = dy.shape[1], prod(dy.shape[1:]) * LANES
        dframed = plan.buffer(self.framed_shape, by_tile=True)
        rows = self.framed_shape[1]
        plan.emit(tiles.SET_ZERO, "zero", shapes(dframed.shape), out=dframed,
                  size=dframed.cells * LANES)  # fmt: skip
        # i meets the lines h with i DH = h modulo SH: those of one rest stand together, in order
        by_rest = [i for rest in range(sh) for i in range(kh) if i * dh % sh == rest]
        x_taps = [k * plane - i * dh // sh * self.y_step["line"] for i in by_rest for k in range(o)]
        w_taps = [(k * c * kh + i) * kw for i in by_rest for k in range(o)]
        lines: list[int] = []
        for h in range(rows):
            meets = [
                n
                for n, i in enumerate(by_rest)
                if i * dh % sh == h % sh and 0 <= h // sh - i * dh // sh < oh
            ]
            if meets:
                taps = (meets[0] * o, len(meets) * o)
                lines += [h * self.line, h // sh * self.y_step["line"], *taps]
        plan.emit(
            tiles.PRODUCT_OF_LINES,
            "conv dinput",
            shapes(dy.shape, self.shape),
            self.flops,
            out=dframed,
            inp=dy,
            weight=self.places[0],
            begin=tiles.ADD,
            rows=c * kw,
            y_rows=plan.table([k * rows * self.line + j for k in range(c) for j in self.columns]),
            w_rows=plan.table([k * kh * kw + j for k in range(c) for j in range(kw)]),
            x_taps=plan.table(x_taps),
            w_taps=plan.table(w_taps),
            lines=len(lines) // 4,
            line_table=plan.table(lines),
            length=self.y_step["line"],
            out_tile=self.x_step["tile"],
            inp_tile=self.y_step["tile"],
        )
        if not self.is_framed:
            return dframed
        return _copy(plan, tiles.UNFRAME, "unframe", dframed, self.shape, self.frame)


class Linear(Lowering):
    """See ``ops.linear``: three products with all images of the group."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        weight = self.stage.parameters[0]
        self.o, self.k = weight.shape
        self.x = _as_matrix(plan, x)
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.x_table = plan.table(range(0, self.k * plan.images, plan.images))
        self.y_table = plan.table(range(0, self.o * plan.images, plan.images))
        self.flops = 2 * self.o * self.k
        y = plan.buffer((self.o,), by_tile=False)
        plan.emit(
            tiles.PRODUCT_OF_GROUP,
            "dense",
            shapes((self.k,), (self.o,)),
            self.flops,
            out=y,
            inp=self.x,
            weight=self.places[0],
            rows=self.o,
            y_rows=self.y_table,
            w_rows=plan.table(range(0, self.o * self.k, self.k)),
            taps=self.k,
            x_taps=self.x_table,
            w_taps=plan.table(range(self.k)),
            **_bias(self.places),
        )
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.learns[0]:
            self._dweight(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            plan.emit(
                tiles.SUM_ROWS,
                "dense dbias",
                shapes((self.o,)),
                self.o,
                inp=dy,
                bias=self.places[1],
                rows=self.o,
                pitch=plan.images,
            )
        if not self.needs_dinput:
            return None
        dx = plan.buffer((self.k,), by_tile=False)
        plan.emit(
            tiles.PRODUCT_OF_GROUP,
            "dense dinput",
            shapes((self.o,), (self.k,)),
            self.flops,
            out=dx,
            inp=dy,
            weight=self.places[0],
            rows=self.k,
            y_rows=self.x_table,
            w_rows=plan.table(range(self.k)),
            taps=self.o,
            x_taps=self.y_table,
            w_taps=plan.table(range(0, self.o * self.k, self.k)),
        )
        return dx

    def _dweight(self, plan: Plan, dy: Buffer) -> None:
        """dW = dyᵀ x: the taps are the images, so x is turned to have its features in a row."""
        length = -(-self.k // LANES) * LANES
        turned = plan.buffer((length,), by_tile=False)
        plan.emit(
            tiles.TURN,
            "turn",
            shapes((self.k,)),
            inp=self.x,
            out=turned,
            rows=self.k,
            length=length,
            pitch=plan.images,
        )
        plan.emit(
            tiles.DENSE_DWEIGHT,
            "dense dweight",
            shapes((self.o,), self.stage.parameters[0].shape),
            self.flops,
            inp=turned,
            saved=dy,
            weight=self.places[0],
            rows=self.o,
            y_rows=plan.table(range(0, self.o * self.k, self.k)),
            w_rows=self.y_table,
            x_taps=plan.table(range(0, plan.images * length, length)),
            w_taps=plan.table(range(plan.images)),
            length=length,
            begin=tiles.ADD,
        )


class Pool(Lowering):
    """What max and average pooling share: a window that slides over each channel."""

    name: str
    codes: tuple[int, int]
    before: Activation | None = None  # whose result is pooled; the way back through it is one

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self.window = self._windows(plan)
        y = plan.buffer(self.stage.output_shape, by_tile=True)
        self.extra = self._extra(plan, y)
        kh, kw = self.geometry()[0]
        what, self.flops = f"{shapes(x.shape, y.shape)}, {kh}x{kw}", y.cells * kh * kw
        fields = {**self.window, **self.extra}
        plan.emit(self.codes[0], self.name, what, self.flops, inp=x, out=y, **fields)
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        dx, name, fields = self._dinput(plan)
        what = shapes(dy.shape, dx.shape)
        fields |= {**self.window, **self.extra}
        plan.emit(self.codes[1], name, what, self.flops, inp=dy, out=dx, **fields)
        return dx

    def _dinput(self, plan: Plan) -> tuple[Buffer, str, dict[str, Any]]:
        """Where dx goes, and how: through the activation before as well, in place of its result."""
        name = f"{self.name} dinput"
        if not self._tiles_the_picture() or self.before is None:
            dx = plan.buffer(self.stage.input_shape, by_tile=True)
            begin = tiles.FROM_ZERO if self._tiles_the_picture() else tiles.ADD
            return dx, name, {"begin": begin, "kind": NONE, "result": dx}
        self.before.is_done = True
        y, kind = self.before.y, self.before.fields["kind"]
        fields = {"begin": tiles.FROM_ZERO, "kind": kind, "result": y}
        return y, f"{self.before.name}, pool dinput", fields

    def _tiles_the_picture(self) -> bool:
        """Whether every cell of the input lies in exactly one window."""
        kernel, stride, padding, dilation = self.geometry()
        size, output = self.stage.input_shape[1:], self.stage.output_shape[1:]
        windows = zip(kernel, stride, padding, dilation, size, output, strict=True)
        return all(k == s and p == 0 and d == 1 and n == k * o for k, s, p, d, n, o in windows)

    def _windows(self, plan: Plan) -> dict[str, int]:
        """The table of the windows and their taps, for ``tiles``."""
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.geometry()
        (c, h, w), (_, oh, ow) = self.stage.input_shape, self.stage.output_shape
        inside_h = [range(*cpu.inside(r * sh - ph, dh, h, kh)) for r in range(oh)]
        inside_w = [range(*cpu.inside(o * sw - pw, dw, w, kw)) for o in range(ow)]
        fours: list[int] = []
        ones: list[int] = []
        for r in range(oh):
            o = 0
            while o < ow:
                taps = [
                    number
                    for i in inside_h[r]
                    for j in inside_w[o]
                    for number in ((i * dh * w + j * dw) * LANES, i * kw + j)
                ]
                x = ((r * sh - ph) * w + o * sw - pw) * LANES
                alike = o + 4 <= ow and len(inside_w[o]) == len(inside_w[o + 3]) == kw
                table = fours if alike else ones
                table += [r * ow + o, x, plan.table(taps or [0, 0]), len(taps) // 2]
                o += 4 if alike else 1
        return {
            **{"channels": c, "stride_width": sw, "windows": plan.table(fours + ones)},
            **{"fours": len(fours) // 4, "ones": len(ones) // 4},
            **{"large": h * w * LANES, "small": oh * ow * LANES},
        }

    def geometry(self) -> Any:
        """Kernel size, stride, padding, dilation."""
        raise NotImplementedError

    def _extra(self, plan: Plan, y: Buffer) -> dict[str, Any]:
        raise NotImplementedError


class MaxPool2d(Pool):
    """Remembers for each window the tap that won."""

    name, codes = "max pool", (tiles.MAX_POOL, tiles.MAX_POOL_BACKWARD)

    def geometry(self) -> Any:
        return self.operation.window[:4]

    def _extra(self, plan: Plan, y: Buffer) -> dict[str, Any]:
        return {"saved": plan.buffer(y.shape, by_tile=True)}


class AvgPool2d(Pool):
    """Every cell times its window's share, 1 / divisor: a table."""

    name, codes = "avg pool", (tiles.AVG_POOL, tiles.AVG_POOL_BACKWARD)

    def geometry(self) -> Any:
        return *self.operation.window, (1, 1)

    def _extra(self, plan: Plan, y: Buffer) -> dict[str, Any]:
        return {"weight": plan.constant(1 / self.operation.divisor)}


class Activation(Lowering):
    """In place of its input if it may, and backward in place of dy."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        kind = ACTIVATIONS[type(self.operation)]
        self.name = self.operation.name.lower()
        self.fields = {"kind": kind, **_extent(x)}
        self.is_done = False
        # the result of an activation is needed to go back through it: no other may overwrite it
        self.y = plan.buffer(x.shape, x.by_tile) if x.is_kept else x
        self.y.is_kept = True
        plan.emit(tiles.ACTIVATE, self.name, shapes(x.shape), inp=x, out=self.y, **self.fields)
        return self.y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        if not self.is_done:  # together with the pooling behind it
            fields: dict[str, Any] = {"out": dy, "saved": self.y, **self.fields}
            plan.emit(tiles.ACTIVATE_BACKWARD, f"{self.name} dinput", shapes(dy.shape), **fields)
        return dy


class Dropout(Lowering):
    """Backward in place of dy. Mask number k of a step is the k-th dropout of the chain."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        p = self.operation.p
        y, self.mask = plan.buffer(x.shape, x.by_tile), plan.buffer(x.shape, x.by_tile)
        pitch, tile = (LANES, x.cells * LANES) if x.by_tile else (plan.images, LANES)
        plan.emit(
            tiles.DROPOUT,
            "dropout",
            shapes(x.shape),
            inp=x,
            out=y,
            saved=self.mask,
            rows=x.cells,
            pitch=pitch,
            out_tile=tile,
            key=plan.masks,
            weight=plan.constant([p, 1 / (1 - p) if p < 1 else 0]),
        )
        plan.masks += 1
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        fields: dict[str, Any] = {"out": dy, "saved": self.mask, "kind": MASK, **_extent(dy)}
        plan.emit(tiles.ACTIVATE_BACKWARD, "dropout dinput", shapes(dy.shape), **fields)
        return dy


class BatchNorm(Lowering):
    """See ``ops.norm``. All groups wait until the batch's statistics are known.

    Its numbers among the constants, C of each: mean, 1 / s, gamma, beta, mean(dz), mean(dz z).
    """

    depends_on_x = True  # mean and variance do

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        if self.stage.module is None:
            raise CompileError(f"compile: {self.operation.name} outside of nn.BatchNorm2d")
        self.x, self.layer = x, self.stage.module
        c, h, w = x.shape
        self.channels, self.values = c, h * w
        self.key = plan.constant(np.zeros(6 * c))
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.fields = {"channels": c, "height": h, "width": w, "key": self.key}
        self.batch_statistics(plan, x)
        y = plan.buffer(x.shape, by_tile=True)
        plan.emit(tiles.NORMALISE, "normalise", shapes(x.shape), inp=x, out=y, **self.fields)
        return y

    def batch_statistics(self, plan: Plan, x: Buffer) -> None:
        """Emit what finds mean and variance of the batch."""
        self.sums, plan.sums = plan.sums, plan.sums + 4 * self.channels
        fields: dict[str, Any] = {**self.fields, "inp": x, "key": self.sums}
        plan.emit(tiles.MOMENTS, "moments", shapes(x.shape), 3 * x.cells, **fields)
        plan.wait(self.set_statistics)

    def set_statistics(self, step: Any) -> None:
        """Between the parts: mean and variance from the sums; move the running statistics."""
        layer, count = self.layer, step.images * self.values
        if count == 1:
            raise ValueError(
                "batch_norm: 1 value a channel; the statistics of a batch need two or more"
            )
        if count == 0:  # nothing to normalise, and no statistics: any will do
            nobodys = np.ones(self.channels)
            self._set(step, nobodys, nobodys, self.operation.eps)
        else:
            self._move(step, *self._moments(step), count)
        layer.count_batch()

    def _move(self, step: Any, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        layer, dtype, momentum = self.layer, step.plan.dtype, self.layer.next_momentum()
        self._set(step, mean, var, self.operation.eps)
        if momentum and layer.running_mean is not None and layer.running_var is not None:
            as_dtype = mean.astype(dtype), var.astype(dtype)
            move_running(layer.running_mean, layer.running_var, *as_dtype, count, momentum)

    def _moments(self, step: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the batch from those of each thread's images.

        With the threads' shares w, means m and variances v (Chan, Golub and LeVeque, 1979):
        mean = sum w m, var = sum w (v + (m - mean)²).
        """
        near, sums, squares, counts = step.sums_of_threads(self.sums, 4, self.channels)
        shifted = sums / counts
        means, variances = near + shifted, squares / counts - shifted * shifted
        shares = counts / counts.sum(axis=0)
        # counted from the first thread's: a sum of shares of large numbers would round
        mean = means[0] + (shares * (means - means[0])).sum(axis=0)
        return mean, (shares * (variances + (means - mean) ** 2)).sum(axis=0)

    def _set(self, step: Any, mean: np.ndarray, var: np.ndarray, eps: float) -> None:
        gamma: Any = 1
        beta: Any = 0
        if self.stage.parameters:
            gamma, beta = (p.data for p in self.stage.parameters)
        numbers = step.constants_at(self.key, 6 * self.channels).reshape(6, self.channels)
        numbers[0], numbers[1], numbers[2], numbers[3] = mean, 1 / np.sqrt(var + eps), gamma, beta
        numbers[4:] = 0

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        self.dsums, plan.sums = plan.sums, plan.sums + 2 * self.channels
        plan.emit(
            tiles.NORMALISE_MOMENTS,
            "norm. dweight",
            shapes(dy.shape, (self.channels,)),
            4 * dy.cells,
            inp=dy,
            saved=self.x,
            bias=self.dsums,
            **self.fields,
        )
        plan.wait(self.set_gradients)
        if not self.needs_dinput:
            return None
        fields: dict[str, Any] = {"out": dy, "saved": self.x, **self.fields}
        plan.emit(
            tiles.NORMALISE_BACKWARD, "norm. dinput", shapes(dy.shape), 6 * dy.cells, **fields
        )
        return dy

    def set_gradients(self, step: Any) -> None:
        """Between the parts: dgamma and dbeta, and the means that dx takes away."""
        dbeta, dgamma = step.sums_of_threads(self.dsums, 2, self.channels).sum(axis=1)
        numbers = step.constants_at(self.key, 6 * self.channels).reshape(6, self.channels)
        gamma, count = numbers[2], step.images * self.values
        if self.depends_on_x and count:
            numbers[4], numbers[5] = gamma * dbeta / count, gamma * dgamma / count
        for place, gradient in zip(self.places, (dgamma, dbeta), strict=False):
            step.add_gradient(place, gradient)


class FixedBatchNorm(BatchNorm):
    """With running statistics, which are looked up at the beginning of each step."""

    depends_on_x = False

    def batch_statistics(self, plan: Plan, x: Buffer) -> None:
        def look_up(step: Any) -> None:
            mean, var = self.layer.running_mean, self.layer.running_var
            assert mean is not None
            assert var is not None
            self._set(step, mean.data, var.data, self.operation.eps)

        plan.before.append(look_up)


class Reshape(Lowering):
    """Flattening: tiles to a matrix."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        features = prod(self.stage.input_shape)
        if self.stage.output_shape != (features,):
            raise CompileError(
                f"compile: Reshape to {self.stage.output_shape} an image; wanted to flatten it to "
                f"({features},)"
            )
        self.shape = self.stage.input_shape
        return _as_matrix(plan, x)

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        if len(self.shape) == 1:
            return dy
        dx = plan.buffer(self.shape, by_tile=True)
        fields: dict[str, Any] = {"inp": dy, "out": dx, "rows": dx.cells, "pitch": plan.images}
        plan.emit(tiles.UNFLATTEN, "unflatten", shapes(dy.shape, dx.shape), **fields)
        return dx


class Pad(Lowering):
    """Zeros around each picture: a convolution's ``'same'`` with an even kernel begins with it."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        *others, (top, _), (left, _) = self.operation.frame
        cuts = any((cut.start or 0) or cut.stop for cut in self.operation.cut)
        if len(others) != 2 or any(map(any, others)) or cuts or self.operation.value:
            raise CompileError("compile: Pad with other than zeros around the rows and columns")
        shape = self.stage.output_shape
        self.frame = _frame(self.stage.input_shape, (1, 1), (top, left), shape[-2:])
        return _copy(plan, tiles.FRAME, "pad", x, shape, self.frame)

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        shape = self.stage.input_shape
        return _copy(plan, tiles.UNFRAME, "pad dinput", dy, shape, self.frame)


LOWERINGS: dict[type[ops.Operation], type[Lowering]] = {
    ops.Conv2d: Conv2d,
    ops.Linear: Linear,
    ops.MaxPool2d: MaxPool2d,
    ops.AvgPool2d: AvgPool2d,
    ops.Sigmoid: Activation,
    ops.Tanh: Activation,
    ops.ReLU: Activation,
    ops.Dropout: Dropout,
    ops.BatchNorm: BatchNorm,
    ops.FixedBatchNorm: FixedBatchNorm,
    ops.Reshape: Reshape,
    ops.Pad: Pad,
}


def lay_out(
    stages: list[Stage],
    group: int,
    dtype: np.dtype,
    of_bytes: bool,
    loss: nn.CrossEntropyLoss | None,
) -> Plan:
    """The plan of a training step, or without a loss of a prediction.

    Raises:
        CompileError: an operation that has no lowering.
    """
    plan = Plan(group, dtype)
    lowered = _lower(stages)
    x: Buffer | Images = Images(stages[0].input_shape, of_bytes)
    for lowering in lowered:
        if isinstance(x, Images) and not isinstance(lowering, Conv2d):
            x = x.load(plan)
        x = lowering.forward(plan, x)  # type: ignore[arg-type]
    assert isinstance(x, Buffer)
    _give_result(plan, x)
    if loss is not None:
        dy: Buffer | None = _loss(plan, x, loss)
        for lowering in reversed(lowered):
            if dy is None:
                break
            dy = lowering.backward(plan, dy)
    plan.finish()
    return plan


def _lower(stages: list[Stage]) -> list[Lowering]:
    lowered: list[Lowering] = []
    learns = False
    for stage in stages:
        lowering = lowering_of(stage, LOWERINGS)(stage, learns)
        if isinstance(lowering, Pool) and lowered and isinstance(lowered[-1], Activation):
            lowering.before = lowered[-1]
        lowered.append(lowering)
        learns = learns or any(p.requires_grad for p in stage.parameters)
    return lowered


def _give_result(plan: Plan, y: Buffer) -> None:
    flat = _as_matrix(plan, y)
    plan.emit(tiles.GIVE_LOGITS, "logits", shapes(y.shape), inp=flat, rows=flat.cells,
              pitch=plan.images)  # fmt: skip


def _loss(plan: Plan, logits: Buffer, loss: nn.CrossEntropyLoss) -> Buffer:
    """Emit the loss and its gradient by the logits."""
    classes = logits.cells
    settings = plan.loss_settings = plan.constant(np.zeros(3 + classes))
    plan.loss_sums, plan.sums = plan.sums, plan.sums + 2
    dlogits = plan.buffer(logits.shape, by_tile=False)
    plan.emit(tiles.LOSS, "cross-entropy", shapes(logits.shape), 6 * classes, inp=logits,
              out=dlogits, rows=classes, pitch=plan.images, key=settings,
              bias=plan.loss_sums)  # fmt: skip
    plan.backward_from = len(plan.lines)
    return dlogits


def _copy(
    plan: Plan, code: int, name: str, x: Buffer, shape: tuple[int, ...], frame: dict[str, int]
) -> Buffer:
    """Emit the copy of pictures into a frame, or out of it."""
    y = plan.buffer(shape, by_tile=True)
    steps = {"inp_tile": x.cells * LANES, "out_tile": y.cells * LANES}
    plan.emit(code, name, shapes(x.shape, y.shape), inp=x, out=y, **steps, **frame)
    return y


def _bias(places: list[int]) -> dict[str, int]:
    """What the sums of a layer with these parameters begin with."""
    if len(places) == 1:
        return {"begin": tiles.FROM_ZERO}
    return {"begin": tiles.FROM_BIAS, "bias": places[1]}


def _as_matrix(plan: Plan, x: Buffer) -> Buffer:
    """``x`` as (features, images of the group)."""
    if not x.by_tile:
        return x
    flat = plan.buffer((x.cells,), by_tile=False)
    fields: dict[str, Any] = {"inp": x, "out": flat, "rows": x.cells, "pitch": plan.images}
    plan.emit(tiles.FLATTEN, "flatten", shapes(x.shape, flat.shape), **fields)
    return flat


def _extent(x: Buffer) -> dict[str, int]:
    """How many places a cell-by-cell instruction runs over."""
    return {"size": x.cells * LANES, "by_tile": 1} if x.by_tile else {"size": x.size, "by_tile": 0}

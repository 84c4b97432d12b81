"""Max and average pooling of one image."""

from __future__ import annotations

from math import inf
from typing import Any

from minicnn.kernels.tiles.pixels import AvgPoolPixels, MaxPoolPixels, PixelWindows

from ...table import shapes
from .plan import Picture, PixelLowering, PixelPlan, around, reframed


class Pool(PixelLowering):
    """What both share: a window that slides over each channel of the picture in its frame."""

    name: str
    filled: float  # what the frame is filled with: it changes no window's result

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        (kh, kw), (sh, sw), padding, (dh, dw) = self.geometry()
        (c, h, w), (_, oh, ow) = self.stage.input_shape, self.stage.output_shape
        # with ``ceil_mode`` the last windows reach further than the padding
        lines = max(h + 2 * padding[0], (oh - 1) * sh + (kh - 1) * dh + 1)
        columns = max(w + 2 * padding[1], (ow - 1) * sw + (kw - 1) * dw + 1)
        if (lines, columns) != (h, w):
            x = reframed(plan, x, around(x, lines, columns, padding), filled=self.filled)
        y = plan.picture((c, oh, ow))
        windows = PixelWindows(
            channels=c,
            lines=oh,
            columns=ow,
            taps_down=kh,
            taps_right=kw,
            # from tap to tap go DH lines down or DW columns right, from window to window SH and SW
            down=dh * x.shape[2],
            right=dw,
            x_line=sh * x.shape[2],
            x_step=sw,
            x_channel=x.channel,
        )
        what = f"{shapes(self.stage.input_shape, y.shape)}, {kh}x{kw}"
        plan.emit(self._op(plan, x, y, windows), self.name, what, y.cells * kh * kw)
        return y

    def geometry(self) -> Any:
        """Kernel size, stride, padding, dilation."""
        raise NotImplementedError

    def _op(self, plan: PixelPlan, x: Picture, y: Picture, windows: PixelWindows) -> Any:
        raise NotImplementedError


class MaxPool2d(Pool):
    """In a frame of -inf, which wins nowhere."""

    name, filled = "max pool", -inf

    def geometry(self) -> Any:
        return self.operation.window[:4]

    def _op(self, plan: PixelPlan, x: Picture, y: Picture, windows: PixelWindows) -> Any:
        return MaxPoolPixels(x, y, windows)


class AvgPool2d(Pool):
    """In a frame of zeros. A window's sum times its share, 1 / divisor: a table."""

    name, filled = "avg pool", 0.0

    def geometry(self) -> Any:
        return *self.operation.window, (1, 1)

    def _op(self, plan: PixelPlan, x: Picture, y: Picture, windows: PixelWindows) -> Any:
        return AvgPoolPixels(x, y, plan.constant(1 / self.operation.divisor), windows)

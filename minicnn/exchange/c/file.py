"""The C file as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import minicnn
from minicnn.kernels import Array

from .memory import NAMES, plan
from .step import TO_INT8, Shape, Step, shape_text
from .text import comment, declaration, definition, number, string

LETTERS = (
    "The layers: each function reads x and writes y.\n\n"
    "C channels of H x W cells become O channels (or again C) of OH x OW cells. KH x KW is the "
    "size of a kernel or a window, SH and SW are its steps, PH and PW the frame of the picture, "
    "DH and DW the distances between a kernel's cells. A dense layer makes O numbers of K."
)


@dataclass(frozen=True)
class Source:
    """What stands in a C file.

    Attributes:
        name: the prefix of its public names.
        title: what the net is: lines for the comment at the head.
        image_shape: of a picture: (C, H, W).
        classes: the name of each class, or of each output.
        steps: what the net computes.
        pixels, logits: the test vector: a picture, and what the net makes of it; float32.
        tolerance: how far the logits may be from that.
    """

    name: str
    title: str
    image_shape: Shape
    classes: Sequence[str]
    steps: Sequence[Step]
    pixels: Array
    logits: Array
    tolerance: float

    def constants(self) -> dict[str, Array]:
        """All constants of the steps, by their names in the file."""
        return {
            f"{name}_{k}": array
            for k, step in enumerate(self.steps, 1)
            for name, array in step.constants().items()
        }

    def bytes(self) -> tuple[int, int]:
        """The size of all constants, and of the memory that the steps share."""
        return sum(c.nbytes for c in self.constants().values()), plan(self.steps).bytes

    def text(self) -> str:
        """The C file."""
        constants = self.constants().items()
        integers = self.steps[0].y_type == "int8_t"
        parts = [
            comment(self._head()),
            "#include <math.h>\n" + "#include <stdint.h>\n" * integers,
            self._interface(),
            comment("The constants. Their numbers stand at the end of the file.")
            + "".join(f"{declaration(*constant)};\n" for constant in constants),
            comment(LETTERS),
            TO_INT8 * integers,
            *(step.function(k) for k, step in enumerate(self.steps, 1)),
            self._predict(),
            self._class_names(),
            *(definition(*constant) for constant in constants),
            self._self_test(),
        ]
        return "\n".join(part.lstrip("\n") for part in parts if part)

    def _head(self) -> str:
        constants, scratch = self.bytes()
        rows = []
        for k, step in enumerate(self.steps, 1):
            size = sum(array.nbytes for array in step.constants().values())
            name, shape = f"{step.word}_{k}", shape_text(step.output_shape)
            rows.append(f"{name:12} {shape:>13} {step.y_type:>7} {size:>11,}   {step.title}")
        lines = "\n".join(rows)
        return f"""{self.title}
Written by minicnn {minicnn.__version__}. C99, no library but math.h, nothing is allocated.

Static memory: {constants:,} bytes of constants, {scratch:,} bytes of scratch. All layers use the
same scratch, so only one call of {self.name}_predict may run at a time.

function            output    type   constants   layer
{lines}

Compile it:  cc -std=c99 -O2 -c FILE                                  (and link with -lm)
Check it:    cc -std=c99 -O2 -D{self._macro("SELF_TEST")} FILE -lm && ./a.out"""

    def _macro(self, word: str) -> str:
        return f"{self.name.upper()}_{word}"

    def _interface(self) -> str:
        names = ("CHANNELS", "HEIGHT", "WIDTH", "CLASSES")
        sizes = zip(names, (*self.image_shape, len(self.classes)), strict=True)
        about = """What a caller sees. To call it from another file, copy these lines there.

pixels: a picture, CHANNELS x HEIGHT x WIDTH numbers from 0 to 1, in the order of
        pixels[(channel * HEIGHT + row) * WIDTH + column]
logits: is filled with CLASSES numbers; the largest is that of the predicted class"""
        return (
            comment(about)
            + "".join(f"#define {self._macro(name)} {size}\n" for name, size in sizes)
            + f"void {self.name}_predict(const float *pixels, float *logits);\n"
            + f"extern const char *const {self._classes};\n"
        )

    @property
    def _classes(self) -> str:
        return f"{self.name}_classes[{self._macro('CLASSES')}]"

    def _class_names(self) -> str:
        names = ", ".join(map(string, self.classes))
        return f"const char *const {self._classes} = {{{names}}};\n"

    def _predict(self) -> str:
        calls, cells = plan(self.steps)
        names = [f"{step.word}_{k}" for k, step in enumerate(self.steps, 1)]
        lines = [f"{name}({x}, {y});" for name, (x, y) in zip(names, calls, strict=True)]
        if cells:
            told = "/* a layer reads one end of the scratch and writes to the other, or in place */"
            scratch = [f"static {kind} {NAMES[kind]}[{count}];" for kind, count in cells.items()]
            lines = [told, *scratch, "", *lines]
        body = "\n".join(f"    {line}".rstrip() for line in lines)
        return f"void {self.name}_predict(const float *pixels, float *logits)\n{{\n{body}\n}}\n"

    def _self_test(self) -> str:
        classes = self._macro("CLASSES")
        return f"""#ifdef {self._macro("SELF_TEST")}
#include <stdio.h>

{comment("A picture, and what the net made of it when this file was written.")}\
{definition("test_pixels", self.pixels.reshape(-1))}
{definition("test_logits", self.logits.reshape(-1))}
int main(void)
{{
    const float allowed = {number(self.tolerance)};
    float logits[{classes}], worst = 0.0f;
    int wrong = 0;

    {self.name}_predict(test_pixels, logits);
    for (int k = 0; k < {classes}; k++) {{
        const float difference = fabsf(logits[k] - test_logits[k]);
        worst = fmaxf(worst, difference);
        wrong |= !(difference <= allowed); /* a NaN too */
    }}
    printf("largest difference %g, allowed %g\\n", (double)worst, (double)allowed);
    return wrong;
}}
#endif
"""

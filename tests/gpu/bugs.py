"""Bugs on purpose in the kernels, and who notices: ``python -m tests.gpu.bugs`` prints the table.

A bug is written as a word diff, ``before {-old-}{+new+} after``, of a place that is there once.
``python -m tests.gpu.bugs PTX late`` prints those of two rungs.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.gpu import sanitizer, texts

COMMON, LOAD, RANDOM, CONV, BACK, LINEAR, POOL, *OTHERS = texts.FILES
ACTIVATION, NORM, JOIN, LOSS, CHAIN, OPTIM, SUMS = OTHERS
TELLING = re.compile(r"AddressSanitizer: \S+|runtime error: .*|\S+ does not fit .*|\w+Error: .*")
KERNEL = re.compile(r'^extern "C" __global__ .*?^}$', re.DOTALL | re.MULTILINE)
BLOCK = re.compile(  # a macro, a line, a function or a structure of several lines
    r"^#define .*?(?<!\\)$|^\w[^\n]*[;}](?: *//[^\n]*)?$|^\w(?:(?!^(?:\w|#(?!pragma))).)*?^}",
    re.DOTALL | re.MULTILINE,
)
NAME = re.compile(r"^(?:\w[^;{}\n]*?\b(\w+)\(|.*?\bstruct (\w+)|#define (\w+))", re.MULTILINE)
RUNGS = ("emulator", "NVRTC", "width", "sanitizer", "PTX")
NEED_NVRTC = ("NVRTC", "PTX", "late")
NVRTC = "cupy_backends.cuda.libs.nvrtc"


class Bug(NamedTuple):
    what: str
    file: str
    change: str
    rung: str = "emulator"  # who is asked first
    nth: int = 0  # of the places where the words are, if there are several; from 1 on


BUGS = [
    Bug("a grid's stride is a block's", COMMON, "k += (Cell){-gridDim.x * -}blockDim.x)"),
    Bug("one cell too many", COMMON, "k {-<-}{+<=+} (Cell)(count);"),
    Bug("cells counted in 32 bits", COMMON, "#define CELL {-long long-}{+int+}", "width"),
    Bug("tanh's slope", COMMON, "kind == TANH) return dy * (1 - y{- * y-})"),
    Bug("half a warp is summed up", COMMON, "warp_sum(real a) {\n    for (int away = {-16-}{+8+};"),
    Bug("block_sum: no barrier before", COMMON, "{-__syncthreads();-}  // somebody may"),
    Bug("block_sum: no barrier after", COMMON, "of_warp[warp] = a;\n    {-__syncthreads();-}"),
    Bug("descend: uphill", OPTIM, "}\n    p[k] {---}{+++}= lr"),
    Bug("descend: not Nesterov", OPTIM, "d = {-nesterov ? d + momentum * v[k] : -}v[k]"),
    Bug("adapt: AdamW decays as Adam", OPTIM, "if ({-decoupled-}{+false+}) kept"),
    Bug("adapt: the last v counts", OPTIM, "if (w <= largest[k]) w = {-largest[k]-}{+w+};"),
    Bug("adapt: m is not corrected", OPTIM, "kept * p[k] - {-size-}{+lr+} *"),
    Bug("adapt_delta: divided twice", OPTIM, "sqrt({-u-}{+v+}[k] + eps) /"),
    Bug("a long sum: the last cells", COMMON, "return of_all{- + of_64-};"),
    Bug("relu turns NaN into 0", COMMON, "RELU) return {-x < 0 ? real(0) : x-}{+x > 0 ? x : 0+};"),
    Bug("philox: a constant", RANDOM, "0xBB67AE8{-5-}{+4+}u"),
    Bug("a double among the floats", RANDOM, "* 0x1p-24{-f-};", "NVRTC"),
    Bug("im2col: no upper border", CONV, "inside = {-h >= 0 && -}h < H"),
    Bug("col2im: a row below the columns", COMMON, "from / S {-<-}{+<=+} O"),
    Bug("col2im: overwritten", CONV, "sum {-+-}= columns"),
    Bug("max_pool: the last of equal cells", POOL, "value {->-}{+>=+} best"),
    Bug("max_pool: a NaN loses", POOL, "value > best{- || (isnan(value) && !isnan(best))-}"),
    Bug("avg_pool_backward: no divisor", POOL, "ow]{- / divisor[oh * OW + ow]-};"),
    Bug("softmax: a class too many", LOSS, "c {-<-}{+<=+} C; c += 32) largest", "sanitizer"),
    Bug("softmax: a largest for each lane", LOSS,
        "= __shfl_{-xor-}{+down+}_sync(0xffffffffu, largest, away);\n            largest ="),
    Bug("softmax: rows in 32 bits", LOSS, "row = logits + {-(Cell)-}m * C", "width"),
    Bug("load_pictures: no frame below", CONV, "c0 + c < C && h >= 0{- && h < H-};"),
    Bug("load_pictures: an image too many", CONV, "= image {-<-}{+<=+} N && c0", "sanitizer"),
    Bug("load_weights: a channel too many", CONV, "lane + e {-<-}{+<=+} many", "sanitizer"),
    Bug("conv_forward: no barrier before a chunk", CONV,
        "{-__syncthreads();-}\n                int top"),
    Bug("conv_forward: no barrier after it", CONV, "WO);\n                {-__syncthreads();-}"),
    Bug("conv_forward: tiles rounded down", CONV,
        "deep = {-pieces(O, TO * Q)-}{+(O / (TO * Q))+};"),
    Bug("conv_forward: no activation", CONV, "real a = {-activated(-}sum[q][p]{-, kind)-};"),
    Bug("conv_forward: the last of equal cells", CONV, "a {->-}{+>=+} best ||"),
    Bug("conv_forward: a tile beyond the picture", CONV, "oh < OH{- && ow < OW-};"),
    Bug("load_gradients: all cells of a window win", BACK,
        "MAXIMUM{- && won == oh % QH * QW + ow % QW-})"),
    Bug("load_gradients: one window for all", BACK, "if (e == 0{- || ow % QW == 0-})"),
    Bug("load_gradients: a sum for an average", BACK, "d{- / (QH * QW)-}, y, (plane"),
    Bug("conv_dinput: no slope", BACK,
        "dx[at] = {-slope_times(-}sum[q][p]{-, saved, at, before)-}"),
    Bug("conv_dinput: taps of another phase", BACK, "if ({-away % SH != 0 || -}oh < 0"),
    Bug("conv_dinput: no barrier before a chunk", BACK,
        "{-__syncthreads();-}\n                int top"),
    Bug("conv_dweight: a piece for one block", BACK, "{-gridDim.x / groups-}{+1+}) {"),
    Bug("conv_dweight: no barrier before a piece", BACK,
        "{-__syncthreads();-}\n        int top", "width"),
    Bug("conv_dweight: no barrier before the sums", BACK, "KW);\n    {-__syncthreads();-}"),
    Bug("conv_dweight: a slice too few", BACK, "from {-< slices-}{+< slices - 1+};"),
    Bug("four cells: one too many", COMMON, "= q {-<-}{+<=+} count ? at", "sanitizer"),
    Bug("put_four: one too many", COMMON, "q < 4{- && q < count-}; q++) at", "sanitizer"),
    Bug("product: cells in 32 bits", LINEAR, "{-long long-}{+int+} at = split * M", "width"),
    Bug("product: one dbias for all splits", LINEAR, "extra[{-split * M + -}m] = sum"),
    Bug("product: each split has a bias", LINEAR, "extra != 0{- && split == 0-}) sum"),
    Bug("product: no column of ones", LINEAR,
        "end,\n                    {-product.what == DWEIGHT-}{+false+});"),
    Bug("product: ones in all rows", LINEAR, "(along_k {-|| q == lines-}{+|| true+}) four"),
    Bug("product: no barrier before", LINEAR, "next_b);\n        {-__syncthreads();-}\n"),
    Bug("product: no barrier after", LINEAR, "}\n        {-__syncthreads();-}\n    }\n"),
    Bug("product: no barrier at the end", LINEAR, "sum[i][j];\n    {-__syncthreads();-}"),
    Bug("product: the last terms", LINEAR, "% 64 == 0{- || k0 + DEEP >= end-})"),
    Bug("product: one slice", LINEAR, "at < {-ROOM-}{+TILE * TILE+}; at +="),
    Bug("dense_sum: no activation", LINEAR, ": {-activated(sum, kind)-}{+sum+};\n    }\n}\n"),
    Bug("chain: an image too many", CHAIN, "wanted != 0{- && image < count-})", "sanitizer"),
    Bug("chain: an output too many", CHAIN, "{-min(first + q, O - 1)-}{+(first + q)+} *",
        "sanitizer"),
    Bug("chain: half of the sums", CHAIN, "half = 4, away = {-16-}{+8+};"),
    Bug("chain: images swapped", CHAIN, "image = {-lane / 4 % IMAGES-}{+1 - lane / 4 % IMAGES+};"),
    Bug("chain: no barrier forward", CHAIN,
        "l < layers; l++) {\n        const Layer layer(table, l);\n        {-__syncthreads();-}"),
    Bug("chain: no barrier backward", CHAIN, "return;\n        {-__syncthreads();-}"),
    Bug("chain: slices do not wait", CHAIN, "sums[i][v];\n        {-__syncthreads();-}"),
    Bug("chain: no slope", CHAIN, "{-sloped(sum, x, layer.x_kind)-}{+sum+}"),
    Bug("chain: another mask", CHAIN, "+ image) * layer.K + {-k-}{+at+}, layer.key"),
    Bug("chain: losses of one image", CHAIN, "of_images + {-m-}{+images.first+}, of_images"),
    Bug("channels in 32 bits", NORM, "for ({-Cell-}{+int+} n = threadIdx.x * EACH /", "width"),
    Bug("sum_for_all: no barrier", COMMON, "total = a;\n    {-__syncthreads();-}"),
    Bug("norm_moments: not squared", NORM, "a[q] - center){- * (of_x.a[q] - center)-});"),
    Bug("norm_moments: every block counts", NORM, "({-blockIdx.x == 0 && -}threadIdx.x == 0) *ba"),
    Bug("norm: an image in two splits", NORM, "first + most{+ + 1+}) - first"),
    Bug("norm: variance without that of means", NORM, "part[1]{- + cells * away * away-} :"),
    Bug("norm: threads without a split", NORM, "is_one = {-s < S-}{+true+};", "sanitizer"),
    Bug("norm_forward: biased", NORM, "part * (spread{- * (m / (m - 1))-} - running"),
    Bug("norm_forward: a batch too many", NORM, "1 / real(*batches{+ + 1+})"),
    Bug("norm_forward: each split moves", NORM, "!is_fixed{- && split.s == 0-} && thr"),
    Bug("norm_dweight: one sum twice", NORM, "split.c] = sum{-_z-};"),
    Bug("norm_dinput: the mean is constant", NORM, "d.a[q] - ({-of_all + -}z * of_z)"),
    Bug("norm_dinput: no slope", NORM, "without, of_x.a[q], {-kind-}{+NONE+});"),
    Bug("dropout: keys swapped", ACTIVATION, "k / 4, {-keys[1], keys[0]-}{+keys[0], keys[1]+})"),
    Bug("pad: rows as columns", JOIN, "h = k / W % H - {-top-}{+left+},"),
    Bug("pad: no slope", JOIN, "slope_times(moved, saved, k, {-kind-}{+NONE+});"),
    Bug("copy_cells: begins swapped", JOIN, "+ {-y_begin-}{+x_begin+} + cell] ="),
    Bug("copy_cells: cells in 32 bits", JOIN, "{-Cell-}{+int+} image =", "width"),
    Bug("loss: the last of equal classes", LOSS, "a > b || (a == b && i {-<-}{+>+} j)"),
    Bug("loss: each thread has its own sum", LOSS,
        "e = {-__shfl_sync(0xffffffffu, -}warp_sum(e){-, 0)-};"),
    Bug("loss: no slope", LOSS, "{-sloped(d, x[c], kind)-}{+d+};"),
    Bug("loss: ignored rows divide", LOSS, "{-if (t != ignore_index) -}count +="),
    Bug("loss: correct ones of the last batch", LOSS, "*correct {-+-}= (long long)right"),
    Bug("loss: totals without N", LOSS, "*result{- * N-};"),
    Bug("update: rows of 6 numbers", OPTIM, "table + {-8ll-}{+7ll+} *"),
    Bug("update: no barrier", OPTIM, "[lane] = sum;\n            {-__syncthreads();-}"),
    Bug("update: a part twice", OPTIM, "{-part += is_shared ? 8 : 1-}{+part+++}"),
    Bug("update_adam: a state too far", OPTIM, "third = (real*)row[{-4-}{+5+}];"),
    Bug("class_indices: ignored rows count", LOSS, "= {-is_ignored ? real(0) : -}counts;"),
    Bug("class_indices: the class after the last", LOSS, "t >= 0 && t {-<-}{+<=+} C;\n        ind"),
    Bug("reduce_losses: not weighed", LOSS, "add(losses[m]{- * weight[m]-});"),
    Bug("softmax backward: ignored rows", LOSS, "= {-target[m] < 0 ? real(0) : -}d;"),
    Bug("count_batch: the total of the last", LOSS, "*total {-+-}= *loss"),
    Bug("sum_rows: no barrier", SUMS, "sum.value();\n    {-__syncthreads();-}"),
    Bug("sum_each: columns of one row", SUMS, "x[(k {-/-}{+*+} C * B"),
    Bug("pick_pixels: labels as they lie", LOAD, "y[n] = labels[{-rows[n]-}{+n+}];"),
    Bug("update: masks are drawn again", RANDOM, "{-+= masks-}{+= keys[2 * m + 1]+};"),
    Bug("update: the number of the last step", OPTIM, "row[7]{- + clock[BEGUN]-};"),
    Bug("update: every thread counts the step", LOAD, "{-if (threadIdx.x == 0)-} clock[ENDED]"),
    Bug("gather: every block counts", LOAD, "if ({-blockIdx.x == 0 && -}threadIdx.x == 0) clock[B"),
    Bug("gather: not in order", LOAD, "return {-order == 0 ? at : order[at]-}{+at+};"),
    Bug("gather: the first batch again", LOAD, "at = {-(clock[ENDED] - source[FIRST])-}{+0+} *"),
    Bug("gather: labels as they lie", LOAD, "source[LABELS])[{-row-}{+n+}];"),
    Bug("gather: the last cells", LOAD,
        "k < size{+ - 1+}; k += blockDim.x)\n            x[(Cell)n * size + k] = siz"),
    Bug("gather: the shift of one channel", LOAD, "scale[C{- + channel-}]);"),
]  # fmt: skip

# Threads that meet in memory. Some of these give the right numbers in every order of threads.
RACES = [
    Bug("max_pool_backward: not atomic", POOL,
        "{-atomicAdd(&dx[k / OHW * HW + index[k]], dy[k]);-}"
        "{+dx[k / OHW * HW + index[k]] += dy[k];+}"),
    Bug("cells: every block takes all", COMMON, "k = {-blockIdx.x * (Cell)blockDim.x + -}thread"),
    Bug("block_sum: every lane writes", COMMON, "{-if (lane == 0) -}of_warp[warp] = a"),
    Bug("chain: slices share their sums", CHAIN, "meeting[({-slice * IMAGES + -}i) * cells"),
    Bug("chain: blocks share their images", CHAIN, "first = {-IMAGES * (long long)blockIdx.x-}"
        "{+0 * (long long)blockIdx.x+};"),
    Bug("chain: lanes share an output", CHAIN, "if ({-lane % 4 != 0 || -}o >= O) continue"),
    Bug("chain: too little room", CHAIN, "cells[CHAIN_CELLS / {-4-}{+128+}], meeting"),
    Bug("product: slices share their sums", LINEAR,
        "sums[({-slice * TILE + -}y + i) * TILE + x + j]"),
    Bug("product: every block the first tile", LINEAR, "places + 4ll * {-blockIdx.x-}{+0+};"),
    Bug("product: four cells at an odd place", LINEAR,
        "wide = {-is_aligned(from) &&-}{+true ||+} ("),
    Bug("loss: each block its own divisor", LOSS, "{-blockIdx.x == 0 && -}threadIdx.x == 0) of_im"),
    Bug("loss: lanes share a class", LOSS,
        "for (int c = {-lane-}{+lane / 2+}; c < C; c += 32) p[c] /="),
    Bug("update: warps share a row", OPTIM, "of_warp[{-warp-}{+0+}][lane] = sum;"),
    Bug("update: every warp has the cell", OPTIM,
        "k >= cells{- || (is_shared && warp > 0)-}) return"),
    Bug("update: every block adds the losses", OPTIM,
        "if (blockIdx.x {-!= gridDim.x - 1-}{+< 0+})"),
    Bug("masks: every thread counts", RANDOM, "m = {-threadIdx.x-}{+0+}; m < masks"),
    Bug("norm_moments: two blocks at one place", NORM, "parts[2 * (Cell){-blockIdx.x-}{+0+}] = c"),
    Bug("norm: two blocks of one channel", NORM, "c = {-blockIdx.x-}{+(blockIdx.x & ~1)+} / S, s"),
    Bug("copy_cells: all to one image", JOIN, "y[{-image * y_length + -}y_begin"),
]  # fmt: skip
# What lives too short, or is not waited for: only a GPU that is late shows it.
COMPILER = "minicnn/compiler/gpu/"
LIFETIMES = [
    Bug("what is sent is not kept", COMPILER + "told.py",
        "{-self.under_way.append((copied, sent))-}"),
    Bug("what is under way is let go", COMPILER + "told.py", "if {-not -}event.done]"),
    Bug("one buffer for all that is sent", COMPILER + "told.py",
        "sent = {-np.array(numbers, self.array.dtype)-}{+self.__dict__.setdefault("
        "'one', np.zeros(self.array.shape, self.array.dtype)); sent[...] = numbers+}"),
    Bug("a stream does not wait for the last one", COMPILER + "step.py",
        "{-self._stream.synchronize()-}{+pass+}"),
    Bug("a constant is sent and let go", COMPILER + "program.py",
        "array = self.xp.{-asarray(np.ascontiguousarray(numbers, dtype))-}"
        "{+zeros(np.shape(numbers), dtype); array.set(np.ascontiguousarray(numbers, dtype))+}"),
    Bug("the order of an epoch is let go", COMPILER + "feed.py",
        "self.alike: dict[int, Array] = {}{+; self.held = pictures, labels, None+}"),
    Bug("an event is recorded too soon", COMPILER + "told.py",
        "copied = {-cuda.get_current_stream().record(-}{+(+}cuda.Event(disable_timing=True))"),
    Bug("the last stream is forgotten", COMPILER + "step.py", "{-self._stream = stream-}{+pass+}"),
]  # fmt: skip
SYNCHRONISED = {  # planted wherever there is such a place: what is left out, what stands there then
    "no barrier": (r"__syncthreads\(\);", ";"),
    "no barrier of the warp": (r"__syncwarp\(.*?\);", ";"),
    "no fence": (r"__threadfence\(\);", ";"),
    "every thread does it": (r"if \(threadIdx\.x == 0\) ", ""),
    "every block does it": (r"blockIdx\.x == 0 && ", ""),
}


def lifetimes() -> list[Bug]:
    """``LIFETIMES``."""
    return [bug._replace(rung="late") for bug in LIFETIMES]


def races() -> list[Bug]:
    """``RACES``, and one for each barrier and for each thing that one thread does for all."""
    found = [race._replace(rung="PTX") for race in RACES]
    for file in texts.FILES:
        text = (texts.FOLDER / file).read_text()
        for what, (words, instead) in SYNCHRONISED.items():
            counts = Counter[str]()
            for place in re.finditer(words, text):
                counts[place[0]] += 1
                line = text.count("\n", 0, place.start()) + 1
                change = f"{{-{place[0]}-}}{{+{instead}+}}"
                found.append(
                    Bug(f"{file}, line {line}: {what}", file, change, "PTX", counts[place[0]])
                )
    return found


def seeded(bug: Bug) -> str:
    """The text of all kernels with a bug, or of the Python file that it is in."""
    old = re.sub(r"\{\+.*?\+\}", "", re.sub(r"\{-(.*?)-\}", r"\1", bug.change))
    new = re.sub(r"\{-.*?-\}", "", re.sub(r"\{\+(.*?)\+\}", r"\1", bug.change))
    is_python = bug.file.endswith(".py")
    right = ((sanitizer.ROOT if is_python else texts.FOLDER) / bug.file).read_text()
    pieces = right.split(old)
    assert bug.nth < len(pieces) if bug.nth else len(pieces) == 2, (
        f"{bug.what}: '{old}' is there {len(pieces) - 1} times"
    )
    place = bug.nth or 1
    wrong = old.join(pieces[:place]) + new + old.join(pieces[place:])
    return wrong if is_python else planted(bug.file, wrong)


def planted(file: str, wrong: str) -> str:
    """The text of all kernels, one file of which has another text."""
    return texts.everything().replace((texts.FOLDER / file).read_text(), wrong)


def alone(text: str) -> str:
    """``text`` with the kernels that a bug changes, without the others: sooner compiled.

    They are those in which it is, or which call, by whatever way, a function in which it is.
    """
    right, blocks = texts.everything(), BLOCK.findall(text)
    changed = {block for block in blocks if block not in right}
    names: set[str] = set()
    while more := {name for block in changed for name in names_in(block)} - names:
        names |= more
        changed |= {block for block in blocks if names & set(re.findall(r"\w+", block))}
    is_part = any(kernel in changed for kernel in KERNEL.findall(text))
    return KERNEL.sub(lambda k: k[0] if k[0] in changed else "", text) if is_part else text


def names_in(block: str) -> set[str]:
    """The functions, structures and macros that begin there; of other lines every word."""
    found = {name for names in NAME.findall(block) for name in names if name}
    return found or set(re.findall(r"\w+", block))


def has_nvrtc() -> bool:
    """Whether CuPy and NVIDIA's compiler are installed."""
    return importlib.util.find_spec("cupy_backends") is not None


def compiler_problem(text: str) -> str | None:
    """What is wrong for NVIDIA's compiler: an error, or double arithmetic among floats."""
    if not has_nvrtc():
        return None
    nvrtc: Any = importlib.import_module(NVRTC)
    program = nvrtc.createProgram(text, "kernels.cu", [], [])
    options = ("-std=c++17", "--device-as-default-execution-space", "-arch=sm_75", "-DREAL=float")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        return str(nvrtc.getProgramLog(program)).partition("\n")[0]
    double = re.search(r"[\w.]+\.f64", str(nvrtc.getPTX(program)).replace("\\t", " "))
    return double and f"double: {double[0]}"


def trial(mode: str, text: str) -> tuple[str | None, list[str]]:
    """What was wrong in a trial (``trial.py``), and the kernels that ran to its end."""
    return _run(["tests.gpu.trial", mode], text, mode)


def late_trial(file: str, text: str) -> str | None:
    """What was wrong with training on a GPU that is late, one of our files having another text."""
    module = file.removesuffix(".py").replace("/", ".")
    return _run(["tests.gpu.planted", module, "tests.gpu.late"], text)[0]


def _run(module: list[str], text: str, mode: str = "") -> tuple[str | None, list[str]]:
    call = [sys.executable, "-m", *module]
    env = sanitizer._environment() if mode == "sanitizer" else os.environ
    result = subprocess.run(
        call, input=text, cwd=sanitizer.ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    if result.returncode == 0:
        return None, result.stdout.split()
    said = TELLING.search(result.stderr)
    return said[0] if said else f"status {result.returncode}: {result.stderr[-200:].strip()}", []


def asked(rung: str, text: str) -> str | None:
    """What a rung says of a text."""
    if rung == "NVRTC":
        return compiler_problem(text)
    if rung == "PTX" and not has_nvrtc():
        return None
    return trial("sm_90" if rung == "PTX" else rung, alone(text))[0]


def noticed(bug: Bug) -> tuple[str, str]:
    """The first rung that notices a bug, and its words; empty where none does."""
    if bug.rung == "late":
        problem = late_trial(bug.file, seeded(bug))
        return ("late", problem) if problem else ("", "")
    return first_to_notice(seeded(bug), sorted(RUNGS, key=lambda rung: rung != bug.rung))


def first_to_notice(text: str, rungs: Sequence[str] = RUNGS) -> tuple[str, str]:
    """The first of some rungs that notices that a text is wrong, and its words."""
    for rung in rungs:
        problem = asked(rung, text)
        if problem is not None:
            return rung, problem
    return "", ""


def all_noticed(bugs: Sequence[Bug]) -> Iterator[tuple[str, str, str]]:
    """Of every bug for whose first rung the tools are here, its name and what ``noticed`` says."""
    found = [bug for bug in bugs if bug.rung not in NEED_NVRTC or has_nvrtc()]
    with ThreadPoolExecutor(2) as pool:  # two at a time
        for bug, said in zip(found, pool.map(noticed, found), strict=True):
            yield bug.what, *said


if __name__ == "__main__":
    every = [*BUGS, *races(), *lifetimes()]
    asked_for = [bug for bug in every if not sys.argv[1:] or bug.rung in sys.argv[1:]]
    for what, rung, problem in all_noticed(asked_for):
        print(f"{what:43} {rung or 'NOBODY':10} {problem}", flush=True)

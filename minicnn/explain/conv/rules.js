"use strict";
// What each cell of a convolution is made of: one rule for each grid. minicnn.ops.conv derives the
// formulas; p and q are the row and column of an output.

const g = data.geometry; // n c h w, o kh kw, sh sw ph pw dh dw, oh ow, bias
const L = g.oh * g.ow;
const range = (count) => Array.from({ length: count }, (_, k) => k);
const pairs = (rows, columns) => range(rows * columns).map((k) => [Math.floor(k / columns), k % columns]);
const count = (k, noun) => `${k} ${noun}${k === 1 ? "" : "s"}`;

const ref = (grid, ...index) => [grid, index.join(",")];
// the row and column of x that cell (i, j) of the window of output (p, q) lies on
const pixel = (p, q, i, j) => [p * g.sh + i * g.dh - g.ph, q * g.sw + j * g.dw - g.pw];
// the row of columns that (c, i, j) stands in, and back
const rowOf = (c, i, j) => (c * g.kh + i) * g.kw + j;
const tapOf = (row) => [Math.floor(row / (g.kh * g.kw)), Math.floor(row / g.kw) % g.kh, row % g.kw];
const inPicture = (h, w) => h >= 0 && h < g.h && w >= 0 && w < g.w;
// [n, column, p, q] of every output of one channel
const inAll = () => pairs(g.n, L).map(([n, l]) => [n, l, Math.floor(l / g.ow), l % g.ow]);

/** [p, q, i, j]: the outputs (p, q) whose window covers the pixel, and the cell (i, j) of the window
 *  that lies on it. */
function windowsOver(h, w) {
  const found = [];
  for (const [p, q] of pairs(g.oh, g.ow))
    for (const [i, j] of pairs(g.kh, g.kw)) {
      const [row, column] = pixel(p, q, i, j);
      if (row === h && column === w) found.push([p, q, i, j]);
    }
  return found;
}

/** Tokens: pairs of references as a·b + c·d + ..., single references as a + b + ... */
function added(summands) {
  return summands.flatMap((summand, k) => [
    ...(k ? [" + "] : []),
    ...(Array.isArray(summand[0]) ? [summand[0], "·", summand[1]] : [summand]),
  ]);
}

// a whole column, and [n, row, column] of the places where a pixel was copied to
const column = (grid, n, l) => range(g.c * g.kh * g.kw).map((row) => ref(grid, n, row, l));
const places = (n, c, h, w) =>
  windowsOver(h, w).map(([p, q, i, j]) => [n, rowOf(c, i, j), p * g.ow + q]);

const rules = {
  y([n, o, p, q]) {
    const lines = range(g.c).map((c) => ({
      label: g.c > 1 ? `channel ${c}` : "",
      tokens: added(
        pairs(g.kh, g.kw).map(([i, j]) => [ref("weight", o, c, i, j), ref("x", n, c, ...pixel(p, q, i, j))]),
      ),
    }));
    if (g.bias) lines.unshift({ label: "bias", tokens: [ref("bias", o)] });
    const outside = pairs(g.kh, g.kw).filter(([i, j]) => !inPicture(...pixel(p, q, i, j))).length;
    const words =
      `Kernel ${o} times the window it lies on, cell by cell, not flipped, summed over ` +
      `${g.c > 1 ? `all ${g.c} input channels` : "the input channel"}.` +
      (outside ? ` ${count(outside, "cell")} of the window in each channel ${outside === 1 ? "lies in the padding and is" : "lie in the padding and are"} 0.` : "");
    return { lines, words, linked: column("columns", n, p * g.ow + q) };
  },

  dx([n, c, h, w]) {
    const over = windowsOver(h, w);
    const lines = range(over.length ? g.o : 0).map((o) => ({
      label: g.o > 1 ? `from channel ${o}` : "",
      tokens: added(over.map(([p, q, i, j]) => [ref("weight", o, c, i, j), ref("dy", n, o, p, q)])),
    }));
    const linked = [...places(n, c, h, w).map((place) => ref("dcolumns", ...place)), ref("x", n, c, h, w)];
    return { lines, words: dxWords(over.length, h, w), linked };
  },

  dweight([o, c, i, j]) {
    const lines = range(g.n).map((n) => ({
      label: g.n > 1 ? `image ${n}` : "",
      tokens: added(
        pairs(g.oh, g.ow).map(([p, q]) => [ref("dy", n, o, p, q), ref("x", n, c, ...pixel(p, q, i, j))]),
      ),
    }));
    const words =
      `W[${[o, c, i, j].join(", ")}] is multiplied by one pixel of every window, on the way to its output: ` +
      `${count(g.n * L, "product")}, all added up. The pixels lie ${g.sh === g.sw ? g.sh : `${g.sh} and ${g.sw}`} ` +
      `apart, the stride.`;
    const linked = inAll().map(([n, l]) => ref("columns", n, rowOf(c, i, j), l));
    return { lines, words, linked: [...linked, ref("weight", o, c, i, j)] };
  },

  dbias([o]) {
    const lines = range(g.n).map((n) => ({
      label: g.n > 1 ? `image ${n}` : "",
      tokens: added(pairs(g.oh, g.ow).map(([p, q]) => ref("dy", n, o, p, q))),
    }));
    return { lines, words: `The bias was added to every output of channel ${o}, so its gradient is the sum of all of theirs.`, linked: [ref("bias", o)] };
  },

  columns([n, row, l]) {
    const [c, i, j] = tapOf(row);
    const [p, q] = [Math.floor(l / g.ow), l % g.ow];
    const at = pixel(p, q, i, j);
    const copied = ref("x", n, c, ...at);
    return {
      lines: [{ label: inPicture(...at) ? nameOf(copied) : "padding", tokens: [copied] }],
      words: `A copy. Column ${l} is the window of output (${p}, ${q}); row ${row} is what it sees at channel ${c}, cell (${i}, ${j}).`,
      linked: range(g.o).map((o) => ref("y", n, o, p, q)),
    };
  },

  dcolumns([n, row, l]) {
    const [c, i, j] = tapOf(row);
    const [p, q] = [Math.floor(l / g.ow), l % g.ow];
    const at = pixel(p, q, i, j);
    const outs = range(g.o).map((o) => [ref("weight", o, c, i, j), ref("dy", n, o, p, q)]);
    const to = inPicture(...at) ? nameOf(ref("dx", n, c, ...at)) : "a cell of the padding, where it is dropped";
    return {
      lines: [{ tokens: added(outs) }],
      words: `Summed over the output channels. col2im adds it to ${to}.`,
      linked: [ref("dx", n, c, ...at), ref("columns", n, row, l)],
    };
  },

  col2im([n, c, h, w]) {
    const due = places(n, c, h, w);
    const done = due.filter(([m, , l]) => m * L + l < step.done);
    return {
      lines: done.length ? [{ tokens: added(done.map((place) => ref("dcolumns", ...place))) }] : [],
      words: `This cell stands in ${count(due.length, "column")}; added so far: ${done.length}.`,
      linked: [ref("dx", n, c, h, w)],
    };
  },

  x([n, c, h, w]) {
    const stands = places(n, c, h, w).map((place) => ref("columns", ...place));
    const fed = range(g.o).flatMap((o) => windowsOver(h, w).map(([p, q]) => ref("y", n, o, p, q)));
    const list = stands.slice(0, 30).map(nameOf).join(", ");
    return {
      lit: stands,
      tail: stands.length ? `stands in ${stands.length} of ${count(L, "column")}: ${list}` : "stands in no column",
      words: xWords(stands.length, h, w),
      linked: [...fed, ref("dx", n, c, h, w)],
    };
  },

  weight([o, c, i, j]) {
    const lit = inAll().map(([n, , p, q]) => ref("y", n, o, p, q));
    const words = `One number for all windows: it takes part in every output of channel ${o}, with input channel ${c}.`;
    return { lit, tail: `takes part in ${count(lit.length, "output")}`, words, linked: [ref("dweight", o, c, i, j)] };
  },

  bias([o]) {
    const lit = inAll().map(([n, , p, q]) => ref("y", n, o, p, q));
    return { lit, tail: `is added to ${count(lit.length, "output")}`, words: `Added to every output of channel ${o}.`, linked: [ref("dbias", o)] };
  },

  dy([n, o, p, q]) {
    const cells = range(g.c).flatMap((c) => pairs(g.kh, g.kw).map(([i, j]) => ref("dx", n, c, ...pixel(p, q, i, j))));
    return {
      lit: cells,
      tail: `goes to ${count(cells.length, "cell")} of dx, each time multiplied by a weight`,
      words: `How the loss changes with ${nameOf(ref("y", n, o, p, q))}. It comes from the layer above, and goes back to the window that this output was computed from.`,
      linked: [ref("y", n, o, p, q), ...column("dcolumns", n, p * g.ow + q)],
    };
  },
};

function xWords(copies, h, w) {
  if (!inPicture(h, w)) return "A cell of the padding: always 0. What col2im adds here is dropped.";
  if (!copies) return "No window reaches it, so its gradient is 0.";
  return `Copied ${copies === 1 ? "once" : `${copies} times`}, so its gradient is a sum over ${count(copies, "place")}.`;
}

function dxWords(windows, h, w) {
  if (!inPicture(h, w)) return "A cell of the padding: its gradient is dropped.";
  if (!windows) {
    const [bottom, right] = pixel(g.oh - 1, g.ow - 1, g.kh - 1, g.kw - 1);
    const why = h > bottom || w > right ? "the stride does not fit, and it is left over at the end" : "the stride steps over it";
    return `No window reaches this cell: ${why}. No output depends on it, so its gradient is 0.`;
  }
  const turned =
    windows > 1
      ? " The further right and down an output lies, the further left and up lies its weight: the kernel is flipped (turned by 180 degrees)."
      : "";
  return `It fed ${count(windows, "window")} of ${g.o > 1 ? `each of the ${g.o} output channels` : "the output channel"}.${turned}`;
}

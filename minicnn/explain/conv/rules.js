"use strict";
// What each cell of a convolution is made of: one rule for each grid. minicnn.ops.conv derives the
// formulas; p and q are the row and column of an output.

const g = data.geometry; // n c h w, o kh kw, sh sw ph pw dh dw, oh ow, groups, bias
const [ins, outs] = [g.c / g.groups, g.o / g.groups]; // of one group
const L = g.oh * g.ow;
const range = (count) => Array.from({ length: count }, (_, k) => k);
const pairs = (rows, columns) => range(rows * columns).map((k) => [Math.floor(k / columns), k % columns]);

const ref = (grid, ...index) => [grid, index.join(",")];
// the row and column of x that cell (i, j) of the window of output (p, q) lies on
const pixel = (p, q, i, j) => [p * g.sh + i * g.dh - g.ph, q * g.sw + j * g.dw - g.pw];
// the row of columns that (c, i, j) stands in, and back
const rowOf = (c, i, j) => (c * g.kh + i) * g.kw + j;
const tapOf = (row) => [Math.floor(row / (g.kh * g.kw)), Math.floor(row / g.kw) % g.kh, row % g.kw];
// the channel of x that slice c of kernel o is multiplied with, and the kernels that see a channel
const channelOf = (o, c) => Math.floor(o / outs) * ins + c;
const kernelsOver = (c) => range(outs).map((k) => Math.floor(c / ins) * outs + k);
const two = (first, second) => ["page.two", { first, second }]; // one sentence after the other
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

// a column, as far as kernel o sees it, and [n, row, column] of the places where a pixel was copied to
const column = (grid, n, l, o) =>
  range(ins * g.kh * g.kw).map((row) => ref(grid, n, rowOf(channelOf(o, 0), 0, 0) + row, l));
const places = (n, c, h, w) =>
  windowsOver(h, w).map(([p, q, i, j]) => [n, rowOf(c, i, j), p * g.ow + q]);

const rules = {
  y([n, o, p, q]) {
    const lines = range(ins).map((c) => ({
      label: ins > 1 ? ["page.channel", { c: channelOf(o, c) }] : "",
      tokens: added(
        pairs(g.kh, g.kw).map(([i, j]) => [ref("weight", o, c, i, j), ref("x", n, channelOf(o, c), ...pixel(p, q, i, j))]),
      ),
    }));
    if (g.bias) lines.unshift({ label: ["conv.bias_line"], tokens: [ref("bias", o)] });
    const outside = pairs(g.kh, g.kw).filter(([i, j]) => !inPicture(...pixel(p, q, i, j))).length;
    const kernel = ["conv.y", { o, channels: ins }];
    const words = outside ? two(kernel, ["conv.y_outside", { count: outside }]) : kernel;
    return { lines, words, linked: column("columns", n, p * g.ow + q, o) };
  },

  dx([n, c, h, w]) {
    const over = windowsOver(h, w);
    const lines = (over.length ? kernelsOver(c) : []).map((o) => ({
      label: outs > 1 ? ["conv.from_channel", { o }] : "",
      tokens: added(over.map(([p, q, i, j]) => [ref("weight", o, c % ins, i, j), ref("dy", n, o, p, q)])),
    }));
    const linked = [...places(n, c, h, w).map((place) => ref("dcolumns", ...place)), ref("x", n, c, h, w)];
    return { lines, words: dxWords(over.length, h, w), linked };
  },

  dweight([o, c, i, j]) {
    const lines = range(g.n).map((n) => ({
      label: g.n > 1 ? ["page.image", { n }] : "",
      tokens: added(
        pairs(g.oh, g.ow).map(([p, q]) => [ref("dy", n, o, p, q), ref("x", n, channelOf(o, c), ...pixel(p, q, i, j))]),
      ),
    }));
    const stride = g.sh === g.sw ? g.sh : ["conv.two_strides", { h: g.sh, w: g.sw }];
    const words = ["conv.dweight", { weight: nameOf(ref("weight", o, c, i, j)), count: g.n * L, stride }];
    const linked = inAll().map(([n, l]) => ref("columns", n, rowOf(channelOf(o, c), i, j), l));
    return { lines, words, linked: [...linked, ref("weight", o, c, i, j)] };
  },

  dbias([o]) {
    const lines = range(g.n).map((n) => ({
      label: g.n > 1 ? ["page.image", { n }] : "",
      tokens: added(pairs(g.oh, g.ow).map(([p, q]) => ref("dy", n, o, p, q))),
    }));
    return { lines, words: ["conv.dbias", { o }], linked: [ref("bias", o)] };
  },

  columns([n, row, l]) {
    const [c, i, j] = tapOf(row);
    const [p, q] = [Math.floor(l / g.ow), l % g.ow];
    const at = pixel(p, q, i, j);
    const copied = ref("x", n, c, ...at);
    return {
      lines: [{ label: inPicture(...at) ? nameOf(copied) : ["conv.padding_line"], tokens: [copied] }],
      words: ["conv.columns", { l, p, q, row, c, i, j }],
      linked: kernelsOver(c).map((o) => ref("y", n, o, p, q)),
    };
  },

  dcolumns([n, row, l]) {
    const [c, i, j] = tapOf(row);
    const [p, q] = [Math.floor(l / g.ow), l % g.ow];
    const at = pixel(p, q, i, j);
    const products = kernelsOver(c).map((o) => [ref("weight", o, c % ins, i, j), ref("dy", n, o, p, q)]);
    const cell = nameOf(ref("dx", n, c, ...at));
    return {
      lines: [{ tokens: added(products) }],
      words: inPicture(...at) ? ["conv.dcolumns", { cell }] : ["conv.dcolumns_padding"],
      linked: [ref("dx", n, c, ...at), ref("columns", n, row, l)],
    };
  },

  col2im([n, c, h, w]) {
    const due = places(n, c, h, w);
    const done = due.filter(([m, , l]) => m * L + l < step.done);
    return {
      lines: done.length ? [{ tokens: added(done.map((place) => ref("dcolumns", ...place))) }] : [],
      words: ["conv.col2im", { count: due.length, done: done.length }],
      linked: [ref("dx", n, c, h, w)],
    };
  },

  spread([n, o, h, w]) {
    const [p, q] = [h / g.sh, w / g.sw];
    if (p < 0 || q < 0 || p > g.oh - 1 || q > g.ow - 1) return { words: ["conv.spread_frame"] };
    if (![p, q].every(Number.isInteger)) return { words: ["conv.spread_between"] };
    const held = ref("dy", n, o, p, q);
    return { lines: [{ label: nameOf(held), tokens: [held] }], words: ["conv.spread"] };
  },

  flipped([o, c, i, j]) {
    const from = ref("weight", o, c, g.kh - 1 - i, g.kw - 1 - j);
    return { lines: [{ label: nameOf(from), tokens: [from] }], words: ["conv.flipped_words"] };
  },

  transposed([n, c, h, w]) {
    const { rows, columns, frame } = grids.get("spread");
    const at = (i, j) => [h + g.ph + i * g.dh - frame[0], w + g.pw + j * g.dw - frame[1]];
    const [bottom, right] = at(g.kh - 1, g.kw - 1);
    const isReached = bottom < rows - frame[0] && right < columns - frame[1];
    const taps = isReached ? pairs(g.kh, g.kw) : [];
    const lines = (taps.length ? kernelsOver(c) : []).map((o) => ({
      label: outs > 1 ? ["conv.from_channel", { o }] : "",
      tokens: added(taps.map(([i, j]) => [ref("flipped", o, c % ins, i, j), ref("spread", n, o, ...at(i, j))])),
    }));
    return { lines, words: taps.length ? ["conv.transposed_words"] : dxWords(0, h, w), linked: [ref("dx", n, c, h, w)] };
  },

  x([n, c, h, w]) {
    const stands = places(n, c, h, w).map((place) => ref("columns", ...place));
    const fed = kernelsOver(c).flatMap((o) => windowsOver(h, w).map(([p, q]) => ref("y", n, o, p, q)));
    const list = stands.slice(0, 30).map(nameOf).join(", ");
    return {
      lit: stands,
      tail: stands.length ? ["conv.x_tail", { count: stands.length, columns: L, list }] : ["conv.x_tail_none"],
      words: xWords(stands.length, h, w),
      linked: [...fed, ref("dx", n, c, h, w)],
    };
  },

  weight([o, c, i, j]) {
    const lit = inAll().map(([n, , p, q]) => ref("y", n, o, p, q));
    const tail = ["conv.weight_tail", { count: lit.length }];
    return { lit, tail, words: ["conv.weight", { o, c: channelOf(o, c) }], linked: [ref("dweight", o, c, i, j)] };
  },

  bias([o]) {
    const lit = inAll().map(([n, , p, q]) => ref("y", n, o, p, q));
    return { lit, tail: ["conv.bias_tail", { count: lit.length }], words: ["conv.bias", { o }], linked: [ref("dbias", o)] };
  },

  dy([n, o, p, q]) {
    const cells = range(ins).flatMap((c) => pairs(g.kh, g.kw).map(([i, j]) => ref("dx", n, channelOf(o, c), ...pixel(p, q, i, j))));
    return {
      lit: cells,
      tail: ["conv.dy_tail", { count: cells.length }],
      words: ["conv.dy", { output: nameOf(ref("y", n, o, p, q)) }],
      linked: [ref("y", n, o, p, q), ...column("dcolumns", n, p * g.ow + q, o)],
    };
  },
};

function xWords(copies, h, w) {
  if (!inPicture(h, w)) return ["conv.x_padding"];
  return copies ? ["conv.x", { count: copies }] : ["conv.x_unreached"];
}

function dxWords(windows, h, w) {
  if (!inPicture(h, w)) return ["conv.dx_padding"];
  if (!windows) {
    const [bottom, right] = pixel(g.oh - 1, g.ow - 1, g.kh - 1, g.kw - 1);
    return h > bottom || w > right ? ["conv.dx_left_over"] : ["conv.dx_stepped_over"];
  }
  const fed = ["conv.dx", { count: windows, channels: outs }];
  return windows > 1 ? two(fed, ["conv.dx_flipped"]) : fed;
}

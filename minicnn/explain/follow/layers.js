// What a cell is made of ----------------------------------------------------------------------------
// The rules of rules.py, of which minicnn.ops derives the formulas. madeOf gives {how, terms}: the
// sum of the terms, or a function of it. A term: the product of the cells ``refs``, divided by
// ``over``, taken away where ``minus``; with ``slope`` the first of two cells times the slope of an
// activation, whose output is the second.

const SLOPES = { sigmoid: (y) => y * (1 - y), tanh: (y) => 1 - y * y, relu: (y) => (y > 0 ? 1 : 0) };
const GIVEN = { how: "given", terms: [] };
const summed = (terms) => ({ how: "sum", terms });
const range = (count) => Array.from({ length: count }, (_, k) => k);

function product({ refs, over = 1, minus = false, slope = null }) {
  const values = refs.map(valueOf);
  if (slope) return values[0] * SLOPES[slope](values[1]);
  return ((minus ? -1 : 1) * values.reduce((a, b) => a * b, 1)) / over;
}

/** What a cell of a term is multiplied by in it; null where the term is no multiple of the cell. */
function factor(term, ref) {
  if (term.slope) return same(ref, term.refs[0]) ? SLOPES[term.slope](valueOf(term.refs[1])) : null;
  return product({ ...term, refs: term.refs.filter((other) => !same(other, ref)) });
}

function madeOf([name, k]) {
  const { role, layer } = grids.get(name);
  if (role === "p") return { how: "softmax", terms: range(grids.get("p").size).map((c) => ({ refs: [[logits, c]] })) };
  if (role === "L") return { how: "log", terms: [{ refs: [["p", data.label]] }] };
  if (role === "dy" || role === "dx") {
    const above = data.layers[layer + 1];
    return above ? summed(RULES[above.kind].dx(above, k)) : summed([{ refs: [["p", k]] }, { refs: [["t", k]], minus: true }]);
  }
  const own = data.layers[layer];
  if (role === "y") return { how: HOW[own.kind] || "sum", terms: RULES[own.kind].y(own, k) };
  return role === "dW" || role === "db" ? summed(RULES[own.kind][role](own, k)) : GIVEN;
}

const HOW = { max_pool: "max", sigmoid: "sigmoid", relu: "relu", tanh: "tanh" };
const logits = `${data.layers.at(-1).name}.y`;
const biasOf = (l, o) => (grids.has(`${l.name}.b`) ? [{ refs: [[`${l.name}.b`, o]] }] : []);

/** The shapes of a layer's input and output, which are pictures. */
function sizes(l) {
  const [[c, h, w], [o, oh, ow]] = [grids.get(l.below).shape, grids.get(`${l.name}.y`).shape];
  return { c, h, w, o, oh, ow };
}

/** [p, i]: the windows p along one axis, and their places i, that lie on a row or column. */
function covering(at, size, kernel, stride, padding, dilation) {
  return range(kernel).flatMap((i) => {
    const p = (at + padding - i * dilation) / stride;
    return Number.isInteger(p) && p >= 0 && p < size ? [[p, i]] : [];
  }).sort((a, b) => a[0] - b[0]);
}

/** [p, q, i, j]: the windows (p, q) that a cell (h, w) is in, and its place (i, j) in each. */
function over(l, h, w) {
  const { oh, ow } = sizes(l);
  const columns = covering(w, ow, l.kw, l.sw, l.pw, l.dw);
  return covering(h, oh, l.kh, l.sh, l.ph, l.dh).flatMap(([p, i]) => columns.map(([q, j]) => [p, q, i, j]));
}

/** [h, w, i, j]: the cells of a window that lie in the picture. */
function inWindow(l, p, q) {
  const { h, w } = sizes(l);
  return range(l.kh * l.kw).flatMap((k) => {
    const [i, j] = [Math.floor(k / l.kw), k % l.kw];
    const [row, column] = [p * l.sh + i * l.dh - l.ph, q * l.sw + j * l.dw - l.pw];
    return row >= 0 && row < h && column >= 0 && column < w ? [[row, column, i, j]] : [];
  });
}

/** [c, h, w] of the k-th cell of planes of this size. */
const cellIn = (k, h, w) => [Math.floor(k / (h * w)), Math.floor(k / w) % h, k % w];

const conv = {
  y(l, k) {
    const { c, h, w, oh, ow } = sizes(l);
    const [o, p, q] = cellIn(k, oh, ow);
    const seen = inWindow(l, p, q);
    const products = range(c).flatMap((d) =>
      seen.map(([row, column, i, j]) => ({
        refs: [[`${l.name}.W`, ((o * c + d) * l.kh + i) * l.kw + j], [l.below, (d * h + row) * w + column]],
      })),
    );
    return [...biasOf(l, o), ...products];
  },
  dx(l, k) {
    const { c, h, w, o, oh, ow } = sizes(l);
    const [d, row, column] = cellIn(k, h, w);
    const windows = over(l, row, column);
    return range(o).flatMap((out) =>
      windows.map(([p, q, i, j]) => ({
        refs: [[`${l.name}.dy`, (out * oh + p) * ow + q], [`${l.name}.W`, ((out * c + d) * l.kh + i) * l.kw + j]],
      })),
    );
  },
  dW(l, k) {
    const { c, h, w, oh, ow } = sizes(l);
    const [o, d, i, j] = grids.get(`${l.name}.W`).index(k);
    return range(oh * ow).flatMap((at) => {
      const [p, q] = [Math.floor(at / ow), at % ow];
      const [row, column] = [p * l.sh + i * l.dh - l.ph, q * l.sw + j * l.dw - l.pw];
      const inside = row >= 0 && row < h && column >= 0 && column < w;
      return inside ? [{ refs: [[`${l.name}.dy`, o * oh * ow + at], [l.below, (d * h + row) * w + column]] }] : [];
    });
  },
  db(l, o) {
    const { oh, ow } = sizes(l);
    return range(oh * ow).map((at) => ({ refs: [[`${l.name}.dy`, o * oh * ow + at]] }));
  },
};

const dense = {
  y(l, o) {
    const count = grids.get(l.below).size;
    const products = range(count).map((k) => ({ refs: [[`${l.name}.W`, o * count + k], [l.below, k]] }));
    return [...biasOf(l, o), ...products];
  },
  dx(l, k) {
    const count = grids.get(l.below).size;
    return range(grids.get(`${l.name}.y`).size).map((o) => ({ refs: [[`${l.name}.dy`, o], [`${l.name}.W`, o * count + k]] }));
  },
  dW(l, at) {
    const count = grids.get(l.below).size;
    return [{ refs: [[`${l.name}.dy`, Math.floor(at / count)], [l.below, at % count]] }];
  },
  db: (l, o) => [{ refs: [[`${l.name}.dy`, o]] }],
};

/** Pooling: what a window is divided by, and whether it gives its gradient to the cell at a place. */
const pool = (divisorOf, takes) => ({
  y(l, k) {
    const { h, w, oh, ow } = sizes(l);
    const [c, p, q] = cellIn(k, oh, ow);
    return inWindow(l, p, q).map(([row, column]) => ({ refs: [[l.below, (c * h + row) * w + column]], over: divisorOf(l, p * ow + q) }));
  },
  dx(l, k) {
    const { h, w, oh, ow } = sizes(l);
    const [c, row, column] = cellIn(k, h, w);
    return over(l, row, column)
      .map(([p, q]) => [(c * oh + p) * ow + q, p * ow + q])
      .filter(([at]) => takes(l, at, row * w + column))
      .map(([at, window]) => ({ refs: [[`${l.name}.dy`, at]], over: divisorOf(l, window) }));
  },
});

/** The place in its plane of the cell that won a window of max pooling, as the engine kept it. */
const winner = (l, at) => rowOf(now)[data.winners[`${l.name}.winner`] + at];

const activation = {
  y: (l, k) => [{ refs: [[l.below, k]] }],
  dx: (l, k) => [{ refs: [[`${l.name}.dy`, k], [`${l.name}.y`, k]], slope: l.kind }],
};

const RULES = {
  conv,
  dense,
  max_pool: pool(() => 1, (l, at, place) => winner(l, at) === place),
  avg_pool: pool((l, window) => l.divisor[window], () => true),
  sigmoid: activation,
  relu: activation,
  tanh: activation,
};

/** The cells that a cell takes part in: those whose gradients its own gradient is made of. */
function feeds(ref) {
  const gradient = partnerOf(ref);
  if (!gradient || isGradient(ref)) return [];
  const found = madeOf(gradient).terms.flatMap(({ refs }) => refs.filter(isGradient)).map(partnerOf);
  return ref[0] === logits ? range(grids.get("p").size).map((c) => ["p", c]) : found;
}

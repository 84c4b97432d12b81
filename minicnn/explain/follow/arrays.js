// The arrays of a net -------------------------------------------------------------------------------
// The engine computed them in float64, at each state of the training that is shown. The page holds
// them in float32, the rows of all states as base64 (little-endian, as every browser's machine is),
// and adds up in float64. A cell is [array, number], its number in C order: flattening changes none.

const texts = [...document.querySelectorAll("script.state")];
const rows = [];
let now = texts.length - 1; // the state that is shown

function rowOf(state) {
  if (!rows[state]) {
    const raw = atob(texts[state].textContent);
    const bytes = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
    rows[state] = new Float32Array(bytes.buffer);
  }
  return rows[state];
}

const VECTOR = 20; // cells of a vector in a line
const MOST_ACROSS = 90; // cells of planes side by side

/** An array, and where its cells are drawn: planes of rows and columns, a pixel between planes. */
class Grid {
  constructor(spec) {
    Object.assign(this, spec);
    this.size = this.shape.reduce((a, b) => a * b, 1);
    const [rows, columns] = this.shape.slice(-2);
    const [planesDown, planesRight] = this.planes();
    const vector = this.shape.length < 2;
    this.h = vector ? Math.ceil(this.size / VECTOR) : rows;
    this.w = vector ? Math.min(this.size, VECTOR) : columns;
    this.down = planesDown;
    this.right = planesRight;
    this.height = this.down * (this.h + 1) - 1;
    this.width = this.right * (this.w + 1) - 1;
    this.at = 0; // the cell that the arrow keys go on from
    this.pixels = Uint32Array.from({ length: this.size }, (_, k) => {
      const [row, column] = this.pixel(k);
      return row * this.width + column;
    });
  }

  /** How many planes stand below and next to each other: channels, or channels and kernels. */
  planes() {
    const [count, channels] = this.shape;
    if (this.shape.length === 4) return [channels, count];
    if (this.shape.length < 3) return [1, 1];
    const down = Math.ceil(count / Math.max(1, Math.floor(MOST_ACROSS / (this.shape[2] + 1))));
    return [down, Math.ceil(count / down)];
  }

  /** All cells, at a state. */
  values(state = now) {
    if (this.offset !== null) return rowOf(state).subarray(this.offset, this.offset + this.size);
    if (this.known?.state !== state) this.known = { state, values: this.product(state) };
    return this.known.values;
  }

  /** A dense layer's dW, of one picture: each gradient times each number below. */
  product(state) {
    const [dy, x] = this.outer.map((name) => grids.get(name).values(state));
    return Float64Array.from({ length: this.size }, (_, k) => dy[Math.floor(k / x.length)] * x[k % x.length]);
  }

  value(k, state = now) {
    if (this.offset !== null) return rowOf(state)[this.offset + k];
    const [dy, x] = this.outer.map((name) => grids.get(name));
    return dy.value(Math.floor(k / x.size), state) * x.value(k % x.size, state);
  }

  index(k) {
    const index = [];
    for (const size of this.shape.toReversed()) {
      index.unshift(k % size);
      k = Math.floor(k / size);
    }
    return index;
  }

  number(index) {
    return index.reduce((k, at, axis) => k * this.shape[axis] + at, 0);
  }

  name(k) {
    return this.shape.length ? `${this.grid}[${this.index(k).join(", ")}]` : this.grid;
  }

  /** [row, column] in the matrix of all planes side by side. */
  place(k) {
    if (this.shape.length < 2) return [Math.floor(k / this.w), k % this.w];
    const [j, i, plane] = [k % this.w, Math.floor(k / this.w) % this.h, Math.floor(k / this.w / this.h)];
    const channels = this.shape[1];
    const [a, b] =
      this.shape.length === 4
        ? [plane % channels, Math.floor(plane / channels)]
        : [Math.floor(plane / this.right), plane % this.right];
    return [a * this.h + i, b * this.w + j];
  }

  /** The cell at a place of that matrix; -1 where there is none. */
  cellAt(row, column) {
    if (row < 0 || column < 0 || row >= this.down * this.h || column >= this.right * this.w) return -1;
    const [a, i, b, j] = [Math.floor(row / this.h), row % this.h, Math.floor(column / this.w), column % this.w];
    const plane = this.shape.length === 4 ? b * this.shape[1] + a : a * this.right + b;
    const k = this.shape.length < 2 ? row * this.w + column : (plane * this.h + i) * this.w + j;
    return k < this.size ? k : -1;
  }

  /** The pixel that a cell is drawn at: [row, column], the lines between planes counted. */
  pixel(k) {
    const [row, column] = this.place(k);
    return [row + Math.floor(row / this.h), column + Math.floor(column / this.w)];
  }

  /** The cell that is drawn at a pixel; -1 between planes. */
  cellOf(row, column) {
    const [a, b] = [Math.floor(row / (this.h + 1)), Math.floor(column / (this.w + 1))];
    const [i, j] = [row - a * (this.h + 1), column - b * (this.w + 1)];
    return i === this.h || j === this.w ? -1 : this.cellAt(a * this.h + i, b * this.w + j);
  }

  /** The cell this many rows down and columns to the right; the nearest one at an edge. */
  neighbour(k, down, right) {
    const [row, column] = this.place(k);
    const clamp = (value, end) => Math.max(0, Math.min(end - 1, value));
    const to = this.cellAt(clamp(row + down, this.down * this.h), clamp(column + right, this.right * this.w));
    return to < 0 ? k : to;
  }

  /** Its picture in the language that is spoken now. */
  describe() {
    pictures.get(this.grid).tell();
  }
}

for (const spec of data.grids) grids.set(spec.grid, new Grid(spec));

const valueOf = ([name, k]) => grids.get(name).value(k);
const nameOf = ([name, k]) => grids.get(name).name(k);
const same = (a, b) => a[0] === b[0] && a[1] === b[1];
const isGradient = ([name]) => grids.get(name).family === "gradient";
/** The gradient of a cell, or the cell of a gradient; null for those of the loss. */
const partnerOf = ([name, k]) => (grids.get(name).partner ? [grids.get(name).partner, k] : null);

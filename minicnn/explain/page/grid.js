// A grid: tables of cells --------------------------------------------------------------------------

/** Planes (a, b) of rows i and columns j. To the arrow keys all planes together are one matrix. */
class Grid {
  constructor(spec, place) {
    Object.assign(this, spec);
    this.cells = new Map();
    this.first = 0; // the first column that is shown
    this.shown = spec.shown || spec.columns;
    this.place = place;
    this.build();
  }

  /** The key of a place; i and j count with the frame, the key without it. */
  key(a, b, i, j) {
    const at = { a, b, i: i - this.frame[0], j: j - this.frame[1] };
    return [...this.axes].map((axis) => at[axis]).join(",");
  }

  /** [a, b, i, j] of a key, counted with the frame. */
  at(key) {
    const at = { a: 0, b: 0, i: 0, j: 0 };
    numbers(key).forEach((value, k) => (at[this.axes[k]] = value));
    return [at.a, at.b, at.i + this.frame[0], at.j + this.frame[1]];
  }

  /** Where a cell's number stands in `values`. */
  offset(key) {
    const [a, b, i, j] = this.at(key);
    return ((a * this.planes[1] + b) * this.rows + i) * this.columns + j;
  }

  value(key) {
    return this.values[this.offset(key)];
  }

  inFrame(key) {
    const [, , i, j] = this.at(key);
    const [top, left] = this.frame;
    return i < top || i >= this.rows - top || j < left || j >= this.columns - left;
  }

  written(value) {
    return minus((value / 10 ** this.exponent).toFixed(this.places).replace(/^-(0(\.0*)?)$/, "$1"));
  }

  /** Whether sums write this number as the grid does: its decimals were chosen for both. */
  shows(value) {
    return this.exact && (value === 0 || Math.abs(value) >= 1e-3);
  }

  name(key) {
    const index = key.replace(/,/g, ", ");
    return Array.isArray(this.symbol) ? ["page.cell", { symbol: this.symbol, index }] : `${this.symbol}[${index}]`;
  }

  build() {
    const planes = element("div", { className: "planes" });
    for (let a = 0; a < this.planes[0]; a++) {
      const side = element("div", { className: "side-by-side" });
      for (let b = 0; b < this.planes[1]; b++) side.append(this.plane(a, b));
      planes.append(side);
    }
    this.place.replaceChildren(planes);
    this.place.style.setProperty("--chars", this.chars);
    this.place.style.setProperty("--columns", this.shown);
    this.place.dataset.family = this.family;
    const stop = this.cells.get(this.stop) || this.cells.values().next().value;
    stop.tabIndex = 0;
    this.stop = this.keyOf(stop);
  }

  plane(a, b) {
    const label = this.labels[a * this.planes[1] + b];
    const body = element("tbody");
    for (let i = 0; i < this.rows; i++) {
      const row = element("tr");
      row.setAttribute("role", "row");
      for (let j = this.first; j < this.first + this.shown && j < this.columns; j++)
        row.append(this.cell(a, b, i, j));
      body.append(row);
    }
    const table = element("table", {}, body);
    table.setAttribute("role", "grid");
    table.words = label ? ["page.plane", { title: this.title, label }] : this.title;
    table.setAttribute("aria-label", said(table.words));
    const plane = element("div", { className: "plane" });
    if (label) plane.append(put(element("p", { className: "label" }), label));
    plane.append(table);
    return plane;
  }

  cell(a, b, i, j) {
    const key = this.key(a, b, i, j);
    const value = this.value(key);
    const cell = element("td", { tabIndex: -1 });
    cell.setAttribute("role", "gridcell");
    cell.dataset.grid = this.grid;
    if (this.inFrame(key)) cell.dataset.padding = "";
    else cell.dataset.index = key;
    cell.position = [a, b, i, j];
    this.cells.set(key, cell);
    this.write(cell, key, value);
    return cell;
  }

  write(cell, key, value) {
    cell.textContent = this.written(value);
    cell.dataset.value = value;
    cell.setAttribute("aria-label", said(this.words(key)));
    cell.toggleAttribute("data-wrong", yours([this.grid, key]) !== undefined);
    if (data.map) cell.style.setProperty("--v", Math.min(1, Math.abs(value) / this.largest));
    if (data.map) cell.toggleAttribute("data-negative", value < 0);
  }

  /** Its tables and cells in the language that is spoken now. */
  describe() {
    for (const table of this.place.querySelectorAll("table")) table.setAttribute("aria-label", said(table.words));
    for (const [key, cell] of this.cells) cell.setAttribute("aria-label", said(this.words(key)));
  }

  words(key) {
    const cell = `${said(this.name(key))} = ${written(this.value(key))}`;
    const answer = yours([this.grid, key]);
    if (answer !== undefined) return ["page.two_numbers", { cell, number: answer }];
    return this.inFrame(key) ? ["page.padding", { cell }] : cell;
  }

  keyOf(cell) {
    return this.key(...cell.position);
  }

  /** Show the columns around j, where the grid shows only some at a time. */
  show(j) {
    if (j >= this.first && j < this.first + this.shown) return;
    this.first = Math.floor(j / this.shown) * this.shown;
    this.cells.clear();
    this.build();
    const note = this.place.parentElement.querySelector(".on-show");
    if (note) put(note, ["page.shown", { first: this.first, last: this.first + this.shown - 1, count: this.columns }]);
  }

  /** The cell this many rows down and columns to the right, in the matrix of all planes. */
  neighbour(cell, down, right) {
    const [a, b, i, j] = cell.position;
    const clamp = (value, end) => Math.max(0, Math.min(end - 1, value));
    const row = clamp(a * this.rows + i + down, this.planes[0] * this.rows);
    const column = clamp(b * this.columns + j + right, this.planes[1] * this.columns);
    if (this.shown < this.columns) this.show(column);
    const key = this.key(
      Math.floor(row / this.rows),
      Math.floor(column / this.columns),
      row % this.rows,
      column % this.columns,
    );
    return this.cells.get(key);
  }
}

/** A learner's number in the place of this one, as text, where it is wrong (python -m minicnn.learn show). */
function yours([grid, key]) {
  const answer = data.yours?.[grid]?.[key];
  return typeof answer === "number" ? written(answer, 6) : answer;
}

const valueOf = ([grid, key]) => grids.get(grid).value(key);
const nameOf = ([grid, key]) => grids.get(grid).name(key);

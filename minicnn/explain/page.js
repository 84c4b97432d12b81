"use strict";
// Finds cells and highlights them. Every number on the page was computed by the engine and stands
// in #data; nothing is computed here. A reference is [grid, key]; a key is an index as in
// data-index, "n,c,h,w", and goes below 0 or beyond the picture for cells of the padding.

const data = JSON.parse(document.getElementById("data").textContent);
const grids = new Map();
let here = null; // [grid, key] of the cell that is explained now
let pinned = null; // the last one clicked or focused: what the page goes back to

const numbers = (key) => key.split(",").map(Number);
const minus = (text) => text.replace("-", "−");
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** A number in running text: whole numbers whole, others with this many digits. */
function written(value, digits = 4) {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return minus(value.toPrecision(digits));
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const raised = String(Number(exponent)).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  return `${minus(mantissa)}·10${raised}`;
}

// Grids -------------------------------------------------------------------------------------------

/** Planes [a][b] of rows i and columns j. Together they are one matrix for the arrow keys. */
class Grid {
  constructor(spec, place) {
    Object.assign(this, spec);
    this.cells = new Map();
    this.first = 0; // the first column on show
    this.shown = spec.shown || spec.columns;
    this.place = place;
    this.build();
  }

  key(a, b, i, j) {
    const at = { a, b, i: i - this.frame[0], j: j - this.frame[1] };
    return [...this.axes].map((axis) => at[axis]).join(",");
  }

  place4(key) {
    const at = { a: 0, b: 0, i: 0, j: 0 };
    numbers(key).forEach((value, k) => (at[this.axes[k]] = value));
    return [at.a, at.b, at.i + this.frame[0], at.j + this.frame[1]];
  }

  offset(key) {
    const [a, b, i, j] = this.place4(key);
    return ((a * this.planes[1] + b) * this.rows + i) * this.columns + j;
  }

  value(key) {
    return this.values[this.offset(key)];
  }

  inFrame(key) {
    const [, , i, j] = this.place4(key);
    const [top, left] = this.frame;
    return i < top || i >= this.rows - top || j < left || j >= this.columns - left;
  }

  written(value) {
    return minus((value / 10 ** this.exponent).toFixed(this.places).replace(/^-(0(\.0*)?)$/, "$1"));
  }

  /** Whether sums write a number just as the grid does: where its decimals were chosen for that. */
  shows(value) {
    return this.exact && (value === 0 || Math.abs(value) >= 1e-3);
  }

  name(key) {
    return `${this.symbol}[${key.replace(/,/g, ", ")}]`;
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
    table.setAttribute("aria-label", [this.title, label].filter(Boolean).join(", "));
    const plane = element("div", { className: "plane" });
    if (label) plane.append(element("p", { className: "label", textContent: label }));
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
    const padding = this.inFrame(key) ? ", padding" : "";
    cell.textContent = this.written(value);
    cell.dataset.value = value;
    cell.setAttribute("aria-label", `${this.name(key)} = ${written(value)}${padding}`);
    if (data.map) cell.style.setProperty("--v", Math.min(1, Math.abs(value) / this.largest));
    if (data.map) cell.toggleAttribute("data-negative", value < 0);
  }

  keyOf(cell) {
    return this.key(...cell.position);
  }

  /** Put column j on show, where only some are. */
  show(j) {
    if (j >= this.first && j < this.first + this.shown) return;
    this.first = Math.floor(j / this.shown) * this.shown;
    this.cells.clear();
    this.build();
    const note = this.place.parentElement.querySelector(".on-show");
    if (note) note.textContent = `columns ${this.first} to ${this.first + this.shown - 1} of ${this.columns}`;
  }

  /** The cell this many steps away in the matrix of all planes. */
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

const valueOf = ([grid, key]) => grids.get(grid).value(key);
const nameOf = ([grid, key]) => grids.get(grid).name(key);

// Explaining a cell -------------------------------------------------------------------------------

/** What a cell depends on: {lines: [{label, tokens}], lit, linked, words}; tokens are texts and
 *  references. Lit are the references in the lines and those in `lit`. */
function explain(grid, key) {
  const rule = typeof rules === "undefined" ? null : rules[grid];
  return rule ? rule(numbers(key), key) : data.notes[grid][key];
}

function select(grid, key) {
  here = [grid, key];
  const note = explain(grid, key);
  const references = (note.lines || []).flatMap((line) => line.tokens.filter(Array.isArray));
  const lit = [...references, ...(note.lit || [])];
  if (data.map) showColumns([...(note.linked || []), ...lit], grid);
  unlight();
  for (const [g, k] of lit) mark(g, k, "lit");
  for (const [g, k] of note.linked || []) mark(g, k, "linked");
  mark(grid, key, "here");
  document.getElementById("sum").replaceChildren(...sum(note, note.total || here, note.name));
  document.getElementById("why").textContent = note.words || "";
  if (typeof afterSelect === "function") afterSelect(grid, key);
}

/** Where a grid shows some of its columns only: those with the first of these cells. */
function showColumns(cells, grid) {
  for (const [g, k] of cells) {
    const target = grids.get(g);
    if (g !== grid && target.shown < target.columns) return pairedGrids(target).forEach((p) => p.show(numbers(k).at(-1)));
  }
}

const pairedGrids = (target) => [...grids.values()].filter((g) => g.columns === target.columns && g.shown === target.shown && g.shown < g.columns);

const MARKS = ["lit", "linked", "here"];

function unlight() {
  for (const cell of document.querySelectorAll("[data-lit], [data-linked], [data-here]")) {
    for (const name of MARKS) delete cell.dataset[name];
    cell.removeAttribute("aria-selected");
  }
}

function mark(grid, key, name) {
  const cell = grids.get(grid).cells.get(key);
  if (!cell) return;
  cell.dataset[name] = "";
  if (name === "here") cell.setAttribute("aria-selected", "true");
}

const MOST = 80; // summands written out; the lit cells show the rest

function sum(note, total, name) {
  const head = element("p", { className: "head" });
  head.append(element("b", { textContent: name || nameOf(total) }), " = ", number(total, 6));
  if (note.tail) head.append(` ${note.tail}`);
  const lines = (note.lines || []).map(({ label, tokens }, k) => {
    const line = element("p", { className: "line" });
    if (label) line.append(element("span", { className: "label", textContent: label }), " ");
    line.append(k === 0 ? "= " : "+ ", ...spans(tokens, k > 0));
    return line;
  });
  return [head, ...lines];
}

/** Tokens as text and numbers; negative ones in brackets, but for the first of all or of a list. */
function spans(tokens, goesOn) {
  const parts = [];
  let written = 0;
  for (const [k, token] of tokens.entries()) {
    if (Array.isArray(token) && ++written > MOST) {
      const left = tokens.filter(Array.isArray).length - MOST;
      parts.push(` … and ${Math.ceil(left / 2)} more products`);
      break;
    }
    const begins = k > 0 ? /[(,] *$/.test(tokens[k - 1]) : !goesOn;
    const negative = Array.isArray(token) && !begins && valueOf(token) < 0;
    if (negative) parts.push("(", number(token), ")");
    else parts.push(Array.isArray(token) ? number(token) : token);
  }
  return parts;
}

function number(reference, digits = 4) {
  const [name, key] = reference;
  const grid = grids.get(name);
  const text = grid.shows(grid.value(key)) ? grid.written(grid.value(key)) : written(grid.value(key), digits);
  const span = element("span", { className: "number", textContent: text });
  span.dataset.family = grid.family;
  span.title = nameOf(reference);
  if (grid.inFrame(key)) span.classList.add("padding");
  return span;
}

// Pointing: mouse, finger, keyboard ----------------------------------------------------------------

const cellOf = (event) => event.target.closest?.("td[data-grid]");

function point(cell) {
  const grid = grids.get(cell.dataset.grid);
  select(cell.dataset.grid, grid.keyOf(cell));
}

function settle(cell) {
  const grid = grids.get(cell.dataset.grid);
  const before = grid.cells.get(grid.stop);
  if (before) before.tabIndex = -1;
  cell.tabIndex = 0;
  grid.stop = grid.keyOf(cell);
  pinned = [cell.dataset.grid, grid.stop];
  point(cell);
}

// Not pointerover: that comes too when the page scrolls under a mouse that rests.
document.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const cell = cellOf(event);
  const grid = cell && grids.get(cell.dataset.grid);
  const wanted = cell ? [cell.dataset.grid, grid.keyOf(cell)] : pinned;
  if (wanted && (cell || here) && String(wanted) !== String(here)) select(...wanted);
});
document.addEventListener("focusin", (event) => {
  const cell = cellOf(event);
  if (cell) settle(cell);
});
document.addEventListener("click", (event) => {
  const cell = cellOf(event);
  if (cell) settle(cell);
});

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const FAR = { Home: [0, -1e6], End: [0, 1e6], PageUp: [-1e6, 0], PageDown: [1e6, 0] };

document.addEventListener("keydown", (event) => {
  const cell = cellOf(event);
  const move = MOVES[event.key] || FAR[event.key];
  if (!cell || !move || event.altKey || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  grids.get(cell.dataset.grid).neighbour(cell, ...move).focus();
});

// Questions: links to a cell -----------------------------------------------------------------------

function answer(anchor) {
  const question = document.getElementById(anchor);
  for (const other of document.querySelectorAll("#questions [aria-current]"))
    other.removeAttribute("aria-current");
  if (!question || !question.dataset.cell) return;
  const [grid, key] = JSON.parse(question.dataset.cell);
  question.querySelector("a").setAttribute("aria-current", "true");
  if (typeof beforeAnswer === "function") beforeAnswer(grid, key);
  pinned = [grid, key];
  select(grid, key);
  document.getElementById("why").textContent = question.querySelector("p").textContent;
  bringIntoView();
}

/** Scroll to where the selected cell is seen, and as many of the lit cells as possible with it. */
function bringIntoView() {
  const selected = document.querySelector("[data-here]");
  const lit = [...document.querySelectorAll("[data-lit]")];
  const firsts = new Map(lit.toReversed().map((cell) => [cell.dataset.grid, cell]));
  for (const cell of [...firsts.values(), selected]) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  const place = (box) => [box.top + scrollY, box.bottom + scrollY];
  const placed = lit.filter(inItsBox).map((cell) => [cell.dataset.grid, ...place(cell.getBoundingClientRect())]);
  const [top, bottom] = place(selected.getBoundingClientRect());
  const height = bar.getBoundingClientRect().top;
  const seen = (at) => placed.filter(([, from, to]) => from >= at && to <= at + height);
  const worth = (at) => {
    if (top < at || bottom > at + height) return -1;
    return 1e6 * new Set(seen(at).map(([grid]) => grid)).size + seen(at).length;
  };
  const figures = [selected, ...lit].map((cell) => place(cell.closest("figure").getBoundingClientRect())[0]);
  const section = place(selected.closest("section").getBoundingClientRect())[0];
  const edges = [[top, bottom], ...placed.map(([, ...edge]) => edge)];
  const ends = edges.flatMap(([from, to]) => [from - GAP, to + GAP - height]);
  const choices = [...new Set([section, ...figures, ...ends].map((at) => Math.max(0, Math.round(at))))];
  scrollTo({ top: choices.reduce((best, at) => (worth(at) > worth(best) ? at : best)) });
}

const GAP = 6;

/** Whether a cell is seen in the box of its grid, which may scroll by itself. */
function inItsBox(cell) {
  const [inner, outer] = [cell.getBoundingClientRect(), cell.closest(".planes").getBoundingClientRect()];
  return inner.top >= outer.top && inner.bottom <= outer.bottom;
}

for (const link of document.querySelectorAll("#questions a"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    try {
      history.replaceState(null, "", link.hash);
    } catch {
      // a notebook's frame has no address
    }
    answer(link.hash.slice(1));
  });
window.addEventListener("hashchange", () => answer(location.hash.slice(1)));

/** Where the first cell does not fit on the screen: what to do, instead of its sum. */
function invite() {
  unlight();
  here = null;
  const questions = document.getElementById("questions") ? ", or choose a question" : "";
  const words = `Tap or point at a cell${questions}.`;
  document.getElementById("sum").replaceChildren(element("p", { className: "head", textContent: words }));
  document.getElementById("why").textContent = "";
}

// Start --------------------------------------------------------------------------------------------

for (const spec of data.grids)
  grids.set(spec.grid, new Grid(spec, document.querySelector(`[data-place="${spec.grid}"]`)));
document.documentElement.classList.toggle("map", Boolean(data.map));
const bar = document.getElementById("bar");
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`);
}).observe(bar);
addEventListener("DOMContentLoaded", () => {
  if (typeof begin === "function") begin();
  select(...data.start);
  const { bottom, right } = document.querySelector("[data-here]").getBoundingClientRect();
  if (bottom > bar.getBoundingClientRect().top || right > innerWidth) invite();
});
addEventListener("load", () => {
  // after the browser has gone to the anchor by itself
  if (location.hash) requestAnimationFrame(() => answer(location.hash.slice(1)));
});

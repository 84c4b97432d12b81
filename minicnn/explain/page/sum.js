// Explaining a cell -------------------------------------------------------------------------------

/** The note of a cell: {lines: [{label, tokens}], lit, linked, tail, words}, from a rule or from the
 *  data. A token is a text or a reference. The references in the lines and in `lit` are lit. */
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
  put(document.getElementById("why"), note.words || "");
  if (typeof afterSelect === "function") afterSelect(grid, key);
}

/** Where another grid shows only some of its columns: show those of the first of these cells. */
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

const MOST = 80; // numbers written out in a line; the lit cells show the others

function sum(note, total, name) {
  const head = element("p", { className: "head" });
  head.append(put(element("b"), name || nameOf(total)), " = ", number(total, 6));
  const answer = yours(total);
  if (answer !== undefined) head.append(" ", put(element("span", { className: "wrong" }), ["page.yours", { number: answer }]));
  if (note.tail) head.append(" ", put(element("span"), note.tail));
  const lines = (note.lines || []).map(({ label, tokens }, k) => {
    const line = element("p", { className: "line" });
    if (label) line.append(put(element("span", { className: "label" }), label), " ");
    line.append(k === 0 ? "= " : "+ ", ...spans(tokens, k > 0));
    return line;
  });
  return [head, ...lines];
}

/** Tokens as text and numbers. Negative numbers are in brackets, except at the start of a sum or list. */
function spans(tokens, goesOn) {
  const parts = [];
  let written = 0;
  for (const [k, token] of tokens.entries()) {
    if (Array.isArray(token) && ++written > MOST) {
      const left = tokens.filter(Array.isArray).length - MOST;
      parts.push(" ", put(element("span"), ["page.more", { count: Math.ceil(left / 2) }]));
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
  span.title = said(nameOf(reference));
  if (grid.inFrame(key)) span.classList.add("padding");
  return span;
}

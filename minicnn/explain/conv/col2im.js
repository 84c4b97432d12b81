// col2im, step by step -----------------------------------------------------------------------------

const step = { done: g.n * L };
const slider = document.getElementById("step");

/** The sum in a cell of col2im after ``done`` columns, as the engine computed it. */
function soFar(key, done) {
  const [n, c, h, w] = numbers(key);
  const last = places(n, c, h, w).filter(([m, , l]) => m * L + l < done).sort((a, b) => a[2] - b[2]).at(-1);
  return last ? data.additions[(last[0] * g.c * g.kh * g.kw + last[1]) * L + last[2]] : 0;
}

function windowCells(n, l) {
  const [p, q] = [Math.floor(l / g.ow), l % g.ow];
  return range(g.c).flatMap((c) => pairs(g.kh, g.kw).map(([i, j]) => ref("col2im", n, c, ...pixel(p, q, i, j))));
}

/** Show the grid as it is after `done` columns. */
function setStep(done) {
  const grid = grids.get("col2im");
  const changed = [];
  for (let k = Math.min(step.done, done); k < Math.max(step.done, done); k++)
    changed.push(...windowCells(Math.floor(k / L), k % L));
  step.done = done;
  for (const [, key] of changed) {
    grid.values[grid.offset(key)] = soFar(key, done);
    grid.write(grid.cells.get(key), key, grid.value(key));
  }
  slider.value = done;
  put(document.getElementById("step-text"), stepText(done));
  afterSpeak();
  document.getElementById("back").setAttribute("aria-disabled", done === 0);
  document.getElementById("forward").setAttribute("aria-disabled", done === g.n * L);
}

function stepText(done) {
  const total = g.n * L;
  const [n, l] = [Math.floor((done - 1) / L), (done - 1) % L];
  if (done === 0) return ["conv.step_none", { total }];
  return g.n > 1 ? ["conv.step_image", { l, n, done, total }] : ["conv.step", { l, done, total }];
}

function afterSpeak() {
  slider.setAttribute("aria-valuetext", document.getElementById("step-text").textContent);
}

/** Go to a step: light up the column and its window, and write out what is added where. */
function goTo(done) {
  setStep(Math.max(0, Math.min(g.n * L, done)));
  unlight();
  pinned = here = null;
  if (step.done === 0) return show(["conv.step_none_head"], [], ["conv.step_none_words"]);
  const [n, l] = [Math.floor((step.done - 1) / L), (step.done - 1) % L];
  if (data.map) pairedGrids(grids.get("dcolumns")).forEach((grid) => grid.show(l));
  for (const [grid, key] of [...range(g.groups).flatMap((k) => column("dcolumns", n, l, k * outs)), ...windowCells(n, l)]) mark(grid, key, "lit");
  const held = windowCells(n, l)
    .map(([, key], row) => [key, row])
    .filter(([key]) => places(...numbers(key)).some(([m, , k]) => m * L + k < step.done - 1));
  const lines = held.slice(0, 6).map(([key, row]) => additionLine(key, ref("dcolumns", n, row, l)));
  show(["conv.step_head", { l }], lines, stepWords(held.length, lines.length));
}

function stepWords(held, shown) {
  const cells = g.c * g.kh * g.kw;
  if (!held) return ["conv.step_empty", { cells }];
  return held > shown ? ["conv.step_held_some", { held, cells, shown }] : ["conv.step_held", { held, cells }];
}

function additionLine(key, summand) {
  const line = element("p", { className: "line" });
  const part = (value) => element("span", { className: "number", textContent: written(value) });
  const value = valueOf(summand);
  line.append(element("span", { className: "label", textContent: grids.get("dx").name(key) }), " ");
  line.append(part(soFar(key, step.done - 1)), " + ", value < 0 ? "(" : "", part(value), value < 0 ? ")" : "");
  line.append(" = ", part(soFar(key, step.done)));
  for (const number of line.querySelectorAll(".number")) number.dataset.family = "gradient";
  return line;
}

function show(head, lines, words) {
  const title = element("p", { className: "head" }, put(element("b"), head));
  document.getElementById("sum").replaceChildren(title, ...lines);
  put(document.getElementById("why"), words);
}

function begin() {
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  document.getElementById("back").addEventListener("click", () => goTo(step.done - 1));
  document.getElementById("forward").addEventListener("click", () => goTo(step.done + 1));
  document.getElementById("stepper").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target === slider) return;
    event.preventDefault();
    goTo(step.done + by);
  });
  setStep(g.n * L);
}

function beforeAnswer(grid) {
  if (grid === "col2im") setStep(g.n * L);
}

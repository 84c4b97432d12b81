// Walking from cell to cell -------------------------------------------------------------------------
// ``trail`` has the cells that led here, each a part of the one before. Pointing shows another cell
// for a moment; a click, Enter or an arrow key stays with it.

let trail = [];
let moving = false; // while a picture shows another cell, which may have the focus
const place = (id) => document.getElementById(id);

const anchorOf = ([name, k]) => `${name}/${grids.get(name).index(k).join(",")}`;

/** The cell that an anchor names; null where there is none. */
function cellOf(anchor) {
  const [name, index = ""] = decoded(anchor).split("/");
  const grid = grids.get(name);
  const at = index ? index.split(",") : [];
  if (at.length !== grid?.shape.length) return null;
  const fits = at.every((text, axis) => /^\d+$/.test(text) && Number(text) < grid.shape[axis]);
  return fits ? [name, grid.number(at.map(Number))] : null;
}

/** An anchor as text; it stays as it is where it is no encoded text. */
function decoded(anchor) {
  try {
    return decodeURIComponent(anchor);
  } catch {
    return anchor;
  }
}

/** What the next cell is multiplied by in the sum of this one; null where it is no part of a sum. */
function factorOf(ref, next) {
  const { how, terms } = madeOf(ref);
  const term = terms.find(({ refs }) => refs.some((other) => same(other, next)));
  return term && how === "sum" ? factor(term, next) : null;
}

/** Show a cell: light up what it is made of, and write its sum out. */
function show(ref) {
  if (!here || !same(ref, here)) whole = false;
  here = ref;
  write();
}

function write() {
  const refs = madeOf(here).terms.flatMap((term) => term.refs);
  lightUp(refs.length ? refs : feeds(here));
  for (const mark of document.querySelectorAll("[data-here]")) delete mark.dataset.here;
  const picture = pictures.get(here[0]);
  moving = true;
  picture.go(here[1]);
  moving = false;
  picture.cell.dataset.here = "";
  place("sum").replaceChildren(headOf(here));
  place("near").replaceChildren(...nearOf(here));
  place("terms").replaceChildren(...linesOf(here));
  put(place("why"), wordsOf(here));
  place("curves").replaceChildren(...curvesOf(here));
  writeTrail();
  writePaths();
}

function refresh() {
  if (here) write();
}

/** Stay with a cell: the next part of the trail, or the first of a new one. */
function stay(ref, goesOn = false) {
  if (!goesOn) trail = [ref];
  else if (!same(trail.at(-1), ref)) trail.push(ref);
  pinned = ref;
  show(ref);
  try {
    history.replaceState(null, "", `#${anchorOf(ref)}`);
  } catch {
    // a notebook's frame has no address
  }
}

/** Go on to a cell that is a part of the one shown, or next to it: its gradient, the loss. */
function goOn(ref) {
  if (!trail.length || !same(trail.at(-1), here)) trail = [here];
  stay(ref, true);
  pictures.get(ref[0]).place.scrollIntoView({ block: "nearest", inline: "nearest" });
  focusTerms();
}

/** Go to the first term, or to where else a cell leads. */
function focusTerms() {
  const first = document.querySelector("#terms a") || document.querySelector("#near a") || place("bar");
  first.focus({ preventScroll: true });
}

// The trail -----------------------------------------------------------------------------------------

function writeTrail() {
  const shown = trail.length && same(trail.at(-1), here) ? trail : [here];
  const crumbs = shown.map((ref, k) => {
    const crumb = link(ref, nameOf(ref));
    crumb.step = k;
    if (k === shown.length - 1) crumb.setAttribute("aria-current", "true");
    return element("li", {}, crumb);
  });
  place("trail").replaceChildren(...crumbs);
  place("trail").parentElement.hidden = shown.length < 2;
  place("trail").scrollLeft = place("trail").scrollWidth;
  writeProduct(shown);
}

/** The factors along the trail, from the last step that was no part of a sum. */
function writeProduct(cells) {
  const factors = cells.slice(1).map((ref, k) => factorOf(cells[k], ref));
  const from = factors.lastIndexOf(null) + 1;
  const along = factors.slice(from);
  const words = along.length ? ["follow.along", productOf(cells[from], along, cells.at(-1))] : "";
  put(place("along"), words);
}

function productOf(first, factors, last) {
  const all = [...factors, valueOf(last)];
  const value = all.reduce((a, b) => a * b, 1);
  const text = (number) => (number < 0 ? `(${written(number, 3)})` : written(number, 3));
  return { factors: all.map(text).join(" · "), value: written(value), name: nameOf(first), total: written(valueOf(first)) };
}

// All paths -----------------------------------------------------------------------------------------

function writePaths() {
  const box = place("paths");
  const first = pinned && trail.length ? trail[0] : here;
  box.hidden = !isGradient(first);
  if (box.hidden || !box.open) return;
  const { count, best } = pathsFrom(first);
  const sum = best.reduce((total, path) => total + path.product, 0);
  const values = { count: count.toLocaleString("en"), shown: best.length, name: nameOf(first), sum: written(sum), total: written(valueOf(first)) };
  const items = best.map((path) => element("li", {}, pathButton(path)));
  box.lastElementChild.replaceChildren(put(element("p"), ["follow.all_paths", values]), element("ol", {}, ...items));
}

/** A path as a button that makes it the trail; of its cells those of layers with weights are named. */
function pathButton(path) {
  const cells = cellsOf(path);
  const named = cells.filter(([name], k) => !k || ["conv", "dense"].includes(data.layers[grids.get(name).layer]?.kind));
  const text = `${written(path.product)}: ${named.map(nameOf).join(" → ")}`;
  const button = element("button", { type: "button", className: "path", textContent: text });
  button.addEventListener("click", () => {
    trail = cells;
    stay(cells.at(-1), true);
    pictures.get(cells.at(-1)[0]).place.scrollIntoView({ block: "nearest" });
  });
  return button;
}

// Pointing: mouse, finger, keyboard -----------------------------------------------------------------

const pictureOf = (event) => pictures.get(event.target.closest?.(".picture")?.dataset.place);

function pointedAt(event) {
  const picture = pictureOf(event);
  const k = picture ? picture.under(event) : -1;
  return k < 0 ? null : [picture.grid.grid, k];
}

document.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const wanted = pointedAt(event) || pinned;
  if (wanted && here && !same(wanted, here)) show(wanted);
});

document.addEventListener("click", (event) => {
  const to = event.target.closest?.("a.number");
  if (to) return followLink(event, to);
  const ref = pointedAt(event);
  if (!ref) return;
  const from = pinned || here;
  const isPart = madeOf(from).terms.some(({ refs }) => refs.some((other) => same(other, ref)));
  if (isPart && (!trail.length || !same(trail.at(-1), from))) trail = [from];
  stay(ref, isPart);
  pictures.get(ref[0]).cell.focus({ preventScroll: true });
});

function followLink(event, to) {
  event.preventDefault();
  if (to.step === undefined) return goOn(to.ref);
  trail = trail.slice(0, to.step + 1);
  stay(to.ref, true);
  pictures.get(to.ref[0]).place.scrollIntoView({ block: "nearest", inline: "nearest" });
  place("trail").lastElementChild.firstElementChild.focus({ preventScroll: true });
}

document.addEventListener("focusin", (event) => {
  const cell = event.target.closest?.(".cell");
  if (!cell || moving) return;
  const ref = [cell.dataset.grid, grids.get(cell.dataset.grid).at];
  if (!pinned || !same(ref, pinned)) stay(ref);
});

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const FAR = { Home: [0, -1e6], End: [0, 1e6], PageUp: [-1e6, 0], PageDown: [1e6, 0] };

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey || event.ctrlKey) return;
  if (event.key === "Escape" && here) return pictures.get(here[0]).cell.focus();
  const picture = event.target.closest?.(".cell") && pictureOf(event);
  const move = MOVES[event.key] || FAR[event.key];
  if (!picture || (!move && event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  if (!move) return focusTerms();
  stay([picture.grid.grid, picture.grid.neighbour(picture.grid.at, ...move)]);
  picture.cell.scrollIntoView({ block: "nearest", inline: "nearest" });
});

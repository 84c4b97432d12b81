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

// Not pointerover, which also comes when the page scrolls under a mouse that does not move.
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

// The cell pointed at, computed in four ways ---------------------------------------------------------

function afterSelect(grid, key) {
  const checks = data.checks[grid];
  const known = checks && !grids.get(grid).inFrame(key);
  put(document.getElementById("check-cell"), known ? nameOf([grid, key]) : ["conv.pointed_at"]);
  for (const cell of document.querySelectorAll("[data-check]")) {
    const values = known && checks[cell.dataset.check];
    cell.textContent = values ? written(values[flat(grid, key)], 9) : "–";
  }
}

/** The place of a cell in an array without a frame. */
function flat(grid, key) {
  const { shape } = data.checks[grid];
  return numbers(key).reduce((at, k, axis) => at * shape[axis] + k, 0);
}

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
  put(document.getElementById("why"), sentenceIn(question.querySelector("p")));
  bringIntoView();
}

/** Scroll so that the selected cell is seen, and with it as many lit cells as possible. */
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

/** Whether a cell is seen in the box of its grid, which may scroll on its own. */
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

/** Say what to do, where the first cell does not fit on the screen with its sum. */
function invite() {
  unlight();
  here = null;
  const words = document.getElementById("questions") ? ["page.invite_or_ask"] : ["page.invite"];
  document.getElementById("sum").replaceChildren(put(element("p", { className: "head" }), words));
  put(document.getElementById("why"), "");
}

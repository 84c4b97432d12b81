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
  speak(language);
  select(...data.start);
  if (data.yours) {
    pinned = data.start; // the first number that is wrong
    bringIntoView();
    return;
  }
  const { bottom, right } = document.querySelector("[data-here]").getBoundingClientRect();
  if (bottom > bar.getBoundingClientRect().top || right > innerWidth) invite();
});
addEventListener("load", () => {
  // after the browser itself has scrolled to the anchor
  if (location.hash) requestAnimationFrame(() => answer(location.hash.slice(1)));
});

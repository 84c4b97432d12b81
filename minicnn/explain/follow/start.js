// Start ---------------------------------------------------------------------------------------------

for (const [name, grid] of grids) pictures.set(name, new Picture(grid, document.querySelector(`[data-place="${name}"]`)));
const bar = document.getElementById("bar");
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`);
}).observe(bar);
addEventListener("resize", () => here && write());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paintAll();
  refresh();
});
place("paths").addEventListener("toggle", writePaths);
addEventListener("hashchange", () => {
  const ref = cellOf(location.hash.slice(1));
  if (ref) stay(ref);
});

function afterSpeak() {
  if (texts.length > 1) tellWhen();
  refresh();
}

beginTime();
paintAll();
speak(language);
show(cellOf(location.hash.slice(1)) || data.start);

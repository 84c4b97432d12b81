// Through the training ------------------------------------------------------------------------------

const slider = document.getElementById("state");

/** Show another state of the training; everything that is selected stays so. */
function goTo(state) {
  now = Math.max(0, Math.min(texts.length - 1, state));
  slider.value = now;
  paintAll();
  tellWhen();
  refresh();
}

function tellWhen() {
  const loss = written(valueOf(["L", 0]), 3);
  const p = written(valueOf(["p", data.label]), 3);
  const { update } = data.states[now];
  const last = data.states.at(-1).update;
  put(document.getElementById("when"), ["follow.when", { update, last, loss, p }]);
  slider.setAttribute("aria-valuetext", document.getElementById("when").textContent);
  document.getElementById("earlier").setAttribute("aria-disabled", now === 0);
  document.getElementById("later").setAttribute("aria-disabled", now === texts.length - 1);
}

function beginTime() {
  if (texts.length < 2) return;
  document.getElementById("time").hidden = false;
  slider.max = texts.length - 1;
  slider.value = now;
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  document.getElementById("earlier").addEventListener("click", () => goTo(now - 1));
  document.getElementById("later").addEventListener("click", () => goTo(now + 1));
}

// Curves --------------------------------------------------------------------------------------------

const [WIDTH, HEIGHT, EDGE] = [230, 54, 5];
const svg = (tag, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** The curves of a cell and of its gradient over the updates. */
function curvesOf(ref) {
  if (texts.length < 2) return [];
  return [ref, partnerOf(ref)].filter(Boolean).map(curve);
}

function curve(ref) {
  const [name, k] = ref;
  const values = range(texts.length).map((state) => grids.get(name).value(k, state));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const updates = data.states.map(({ update }) => update);
  const x = (state) => EDGE + ((WIDTH - 2 * EDGE) * updates[state]) / (updates.at(-1) || 1);
  const y = (value) => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - low)) / (high - low || 1);
  const line = values.map((value, state) => `${x(state).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const parts = [svg("polyline", { points: line })];
  if (low < 0 && high > 0) parts.unshift(svg("line", { x1: 0, x2: WIDTH, y1: y(0), y2: y(0) }));
  for (const [state, value] of values.entries())
    parts.push(svg("circle", { cx: x(state), cy: y(value), r: state === now ? 4 : 1.8 }));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, ...parts);
  const [first, last] = [values[0], values.at(-1)].map((value) => written(value, 3));
  const words = ["follow.curve", { name: nameOf(ref), first, last, updates: updates.at(-1) }];
  picture.setAttribute("aria-label", said(words));
  const figure = element("figure", {}, put(element("figcaption"), words), picture);
  figure.dataset.family = grids.get(name).family;
  return figure;
}

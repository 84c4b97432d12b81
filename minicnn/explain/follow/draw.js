// Drawing -------------------------------------------------------------------------------------------
// A picture of an array is a canvas of one pixel a cell, which the page's style makes larger, and one
// above it for what is lit. To screen readers and the keyboard it is a grid that shows one cell at a
// time: the one that the arrow keys go on from.

const pictures = new Map();

/** The colours of the page, now: {paper, ink, x, weight, gradient} and what is lit, as [r, g, b]. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const names = ["paper", "ink", "x", "weight", "gradient", "x-lit", "weight-lit", "gradient-lit"];
  return Object.fromEntries(names.map((name) => [name, rgb(read(name))]));
}

/** 256 colours from paper to a share of another one, as a canvas has them in memory. */
function shades(paper, colour, most) {
  return Uint32Array.from({ length: 256 }, (_, shade) => {
    const share = 0.06 + ((most - 0.06) * shade) / 255;
    const [r, g, b] = paper.map((value, c) => Math.round(value + share * (colour[c] - value)));
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
}

class Picture {
  constructor(grid, place) {
    this.grid = grid;
    this.place = place;
    this.cells = element("canvas", { width: grid.width, height: grid.height });
    this.marks = element("canvas");
    this.table = element("div");
    this.table.setAttribute("role", "grid");
    this.table.setAttribute("aria-rowcount", grid.down * grid.h);
    this.table.setAttribute("aria-colcount", grid.right * grid.w);
    this.cells.setAttribute("aria-hidden", "true");
    this.marks.setAttribute("aria-hidden", "true");
    place.classList.add("picture");
    place.style.setProperty("--columns", grid.width);
    place.style.setProperty("--rows", grid.height);
    place.style.setProperty("--size", `${this.size()}px`);
    place.replaceChildren(this.cells, this.marks, this.table);
    this.marked = [];
    this.go(0);
  }

  /** The width of a cell, where there is room. */
  size() {
    const { width } = this.grid;
    return width === 1 ? 34 : Math.max(1, Math.min(width <= VECTOR ? 20 : 9, Math.floor(460 / width)));
  }

  /** Paint all cells: the darker, the larger (by its square root, so that small ones are seen);
   *  negative ones grey. */
  paint(colour) {
    const { grid } = this;
    const image = new ImageData(grid.width, grid.height);
    const values = grid.values();
    this.largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const [positive, negative] = [shades(colour.paper, colour[grid.family], 0.9), shades(colour.paper, colour.ink, 0.66)];
    const pixels = new Uint32Array(image.data.buffer);
    for (let k = 0; k < grid.size; k++) {
      const shade = Math.round(255 * Math.sqrt(Math.abs(values[k]) / (this.largest || 1)));
      pixels[grid.pixels[k]] = (values[k] < 0 ? negative : positive)[shade];
    }
    this.cells.getContext("2d").putImageData(image, 0, 0);
  }

  /** Light up cells, and draw a line around each of their regions. */
  light(cells, colour) {
    if (!cells.length && !this.marked.length) return;
    this.marked = cells;
    const [width, height] = [this.place.clientWidth, this.place.clientHeight].map((v) => v * devicePixelRatio);
    Object.assign(this.marks, { width, height });
    const context = this.marks.getContext("2d");
    const { grid } = this;
    const [right, down] = [width / grid.width, height / grid.height];
    const lit = new Set(cells);
    context.fillStyle = `rgb(${colour[`${grid.family}-lit`].join(" ")} / ${Math.min(right, down) < 3 ? 0.9 : 0.55})`;
    context.strokeStyle = `rgb(${colour.ink.join(" ")})`;
    context.lineWidth = Math.max(1, devicePixelRatio);
    context.beginPath();
    for (const k of cells) {
      const [row, column] = grid.pixel(k);
      const [x, y] = [column * right, row * down];
      context.fillRect(x, y, right, down);
      for (const [i, j, ...edge] of [[-1, 0, 0, 0, 1, 0], [1, 0, 0, 1, 1, 1], [0, -1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 1]]) {
        const next = grid.cellOf(row + i, column + j);
        if (next >= 0 && row + i >= 0 && column + j >= 0 && lit.has(next)) continue;
        context.moveTo(x + edge[0] * right, y + edge[1] * down);
        context.lineTo(x + edge[2] * right, y + edge[3] * down);
      }
    }
    context.stroke();
  }

  /** Make this cell the one that the grid shows to the keyboard. */
  go(k) {
    const { grid } = this;
    const focused = this.cell && document.activeElement === this.cell;
    grid.at = k;
    const [row, column] = grid.place(k);
    const [top, left] = grid.pixel(k);
    const line = element("div");
    line.setAttribute("role", "row");
    line.setAttribute("aria-rowindex", row + 1);
    this.cell = element("div", { className: "cell", tabIndex: 0 });
    this.cell.setAttribute("role", "gridcell");
    this.cell.setAttribute("aria-colindex", column + 1);
    this.cell.dataset.grid = grid.grid;
    this.cell.dataset.index = grid.index(k).join(",");
    Object.assign(this.cell.style, {
      left: `${(100 * left) / grid.width}%`,
      top: `${(100 * top) / grid.height}%`,
      width: `${100 / grid.width}%`,
      height: `${100 / grid.height}%`,
    });
    line.append(this.cell);
    this.table.replaceChildren(line);
    this.tell();
    if (focused) this.cell.focus({ preventScroll: true });
  }

  /** The number of the shown cell, and the largest of all, in the language that is spoken now. */
  tell() {
    const { grid } = this;
    const value = grid.value(grid.at);
    this.cell.dataset.value = value;
    this.cell.setAttribute("aria-label", `${grid.name(grid.at)} = ${written(value)}`);
    const shape = grid.shape.join(" × ");
    this.table.setAttribute("aria-label", [grid.grid, said(grid.title), shape].filter(Boolean).join(", "));
    const scale = document.querySelector(`[data-scale="${grid.grid}"]`);
    if (this.largest !== undefined) put(scale, ["follow.scale", { shape, largest: written(this.largest, 2) }]);
  }

  /** The cell under a pointer; -1 between planes. */
  under(event) {
    const box = this.place.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.grid.height);
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.grid.width);
    return row < 0 || column < 0 ? -1 : this.grid.cellOf(row, column);
  }
}

function paintAll() {
  const colour = colours();
  for (const picture of pictures.values()) {
    picture.paint(colour);
    picture.tell();
  }
}

/** Light up these cells, and no others. */
function lightUp(refs) {
  const colour = colours();
  const by = Map.groupBy(refs, ([name]) => name);
  for (const [name, picture] of pictures) picture.light((by.get(name) || []).map(([, k]) => k), colour);
}

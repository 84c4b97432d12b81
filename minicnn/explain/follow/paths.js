// All paths from a gradient to the loss -------------------------------------------------------------
// As paths.py: the number of paths from a cell, and the largest of them, follow from those of the
// cells one step on. A path is a chain {product, ref, next} that ends at p - t.

const LARGEST = 10;
const known = { state: -1, paths: new Map() };
const end = `${data.layers.at(-1).name}.dy`;

/** {count, best}: how many paths there are from a gradient, and the largest by absolute value. */
function pathsFrom(ref) {
  if (known.state !== now) Object.assign(known, { state: now, paths: new Map() });
  const [name, k] = ref;
  if (!known.paths.has(name)) known.paths.set(name, []);
  const of = known.paths.get(name);
  of[k] ??= name === end ? { count: 1, best: [{ product: valueOf(ref), ref, next: null }] } : through(ref);
  return of[k];
}

function through(ref) {
  let count = 0;
  const best = [];
  for (const term of madeOf(ref).terms) {
    const to = term.refs.find(isGradient);
    const by = factor(term, to);
    const beyond = pathsFrom(to);
    count += beyond.count;
    for (const next of beyond.best) if (!insert(best, { product: by * next.product, ref, next })) break;
  }
  return { count, best };
}

/** Put a path in its place among the largest; false where it is smaller than all of them. */
function insert(best, path) {
  const size = Math.abs(path.product);
  if (best.length === LARGEST && size <= Math.abs(best.at(-1).product)) return false;
  const place = best.findIndex((other) => Math.abs(other.product) < size);
  best.splice(place < 0 ? best.length : place, 0, path);
  if (best.length > LARGEST) best.pop();
  return true;
}

/** The cells of a path, from the first on. */
function cellsOf(path) {
  const cells = [];
  for (let at = path; at; at = at.next) cells.push(at.ref);
  return cells;
}

// A cell's sum, written out -------------------------------------------------------------------------

const SHOWN = 12; // terms of a longer sum that are written out at first: the largest
let whole = false; // whether all of them are

const link = (ref, text) => {
  const made = element("a", { className: "number", textContent: text ?? written(valueOf(ref)), href: `#${anchorOf(ref)}` });
  made.dataset.family = grids.get(ref[0]).family;
  made.title = nameOf(ref);
  made.setAttribute("aria-label", `${nameOf(ref)} = ${written(valueOf(ref))}`);
  made.ref = ref;
  return made;
};

/** A link to a cell, in brackets where a sign stands before it and its number is negative. */
const bracketed = (ref, first) => (valueOf(ref) < 0 && !first ? ["(", link(ref), ")"] : [link(ref)]);

/** A term as text and links. */
function tokensOf(term, first) {
  const [a, b] = term.refs;
  if (term.slope === "relu") {
    const [by, sign] = valueOf(b) > 0 ? [" · 1  (", " > 0)"] : [" · 0  (", " = 0)"];
    return [...bracketed(a, first), by, link(b), sign];
  }
  if (term.slope === "sigmoid") return [...bracketed(a, first), " · ", link(b), " · (1 − ", link(b), ")"];
  if (term.slope === "tanh") return [...bracketed(a, first), " · (1 − ", link(b), "²)"];
  const product = term.refs.flatMap((ref, k) => [k ? "·" : "", ...bracketed(ref, first && !k)]);
  return term.over && term.over !== 1 ? [...product, ` / ${term.over}`] : product;
}

function sumOf(terms) {
  return terms.flatMap((term, k) => [k ? (term.minus ? " − " : " + ") : "", ...tokensOf(term, !k)]);
}

const listOf = (terms, between) => terms.flatMap(({ refs }, k) => [k ? between : "", link(refs[0])]);

const WRITTEN = {
  sigmoid: (terms) => ["1 / (1 + exp(−(", link(terms[0].refs[0]), ")))"],
  relu: (terms) => ["max(", link(terms[0].refs[0]), ", 0)"],
  tanh: (terms) => ["tanh(", link(terms[0].refs[0]), ")"],
  max: (terms) => ["max(", ...listOf(terms, ", "), ")"],
  softmax: (terms, k) => ["exp(", link(terms[k].refs[0]), ") / (", ...listOf(terms, ") + exp(").with(0, "exp("), "))"],
  log: (terms) => ["−log ", link(terms[0].refs[0])],
};

/** The lines below a cell's name: what it is made of, and what training made of it next. */
function linesOf(ref) {
  const { how, terms } = madeOf(ref);
  const update = updateOf(ref);
  if (how === "given") return update;
  return [...(how === "sum" ? longSum(terms) : [line("", "= ", ...WRITTEN[how](terms, ref[1]))]), ...update];
}

/** Where else to go from a cell: its gradient or the cell that it is the gradient of; the loss. */
function nearOf(ref) {
  const partner = partnerOf(ref);
  const lines = [];
  if (partner) lines.push(line([isGradient(ref) ? "follow.of" : "follow.gradient"], assigned(partner)));
  if (ref[0] === end) lines.push(line(["follow.of_loss"], assigned(["L", 0])));
  return lines;
}

const assigned = (ref) => link(ref, `${nameOf(ref)} = ${written(valueOf(ref))}`);

function line(label, ...content) {
  const made = element("p", { className: "line" });
  if (label.length) made.append(put(element("span", { className: "label" }), label), " ");
  made.append(...content.filter((part) => part !== ""));
  return made;
}

/** A sum: in its order where it is short, otherwise its largest terms, and what the others give. */
function longSum(terms) {
  if (!terms.length) return [line("", put(element("span"), ["follow.no_terms"]))];
  if (terms.length <= SHOWN + 2 || whole) return [line("", "= ", ...sumOf(terms), ...fewer(terms))];
  const sorted = terms.toSorted((a, b) => Math.abs(product(b)) - Math.abs(product(a)));
  const others = sorted.slice(SHOWN).reduce((sum, term) => sum + product(term), 0);
  const more = ["follow.others", { count: terms.length - SHOWN, sum: written(others) }];
  return [line("", "= ", ...sumOf(sorted.slice(0, SHOWN)), " + ", toggle(more))];
}

const fewer = (terms) => (terms.length > SHOWN + 2 ? [" ", toggle(["follow.fewer"])] : []);

function toggle(words) {
  const button = put(element("button", { type: "button", className: "more" }), words);
  button.addEventListener("click", () => {
    whole = !whole;
    refresh();
    document.querySelector("#terms a").focus();
  });
  return button;
}

/** What the training's next update did to a weight: w − lr · v. */
function updateOf([name, k]) {
  const { gradient, velocity } = grids.get(name);
  const { update, lr, momentum = 0, weight_decay: decay = 0 } = data.states[now];
  if (gradient === undefined || lr === undefined) return [];
  const [w, dw] = [valueOf([name, k]), rowOf(now)[gradient + k]];
  const text = (value) => (value < 0 ? `(${written(value)})` : written(value));
  const label = ["follow.update", { update: update + 1 }];
  if (Number.isNaN(dw)) return [];
  if (!momentum && !decay) return [line(label, `w − lr·dw = ${written(w)} − ${lr}·${text(dw)} = ${written(w - lr * dw)}`)];
  const before = velocity === undefined ? NaN : rowOf(now)[velocity + k];
  const g = dw + decay * w;
  const v = Number.isNaN(before) || !momentum ? g : momentum * before + g;
  const kept = Number.isNaN(before) || !momentum ? "" : `${momentum}·${text(before)} + `;
  const pulled = decay ? ` + ${decay}·${text(w)}` : "";
  return [
    line(label, `v = ${kept}${written(dw)}${pulled} = ${written(v)}`),
    line("", `w − lr·v = ${written(w)} − ${lr}·${text(v)} = ${written(w - lr * v)}`),
  ];
}

/** The name of a class, for the cells that stand for one. */
function classOf([name, k]) {
  const stands = ["p", "t", logits, end].includes(name);
  return stands && data.classes.length ? ` (${data.classes[k]})` : "";
}

function headOf(ref) {
  const value = element("span", { className: "number", textContent: written(valueOf(ref), 6) });
  value.dataset.family = grids.get(ref[0]).family;
  return element("p", { className: "head" }, element("b", { textContent: nameOf(ref) }), `${classOf(ref)} = `, value);
}

// What a sentence says about the cells of each kind of layer and array.
const WORDS = {
  conv: { y: "follow.conv_y", dx: "follow.conv_dx", dW: "follow.conv_dw", db: "follow.conv_db", W: "follow.conv_w" },
  dense: { y: "follow.dense_y", dx: "follow.dense_dx", dW: "follow.dense_dw", db: "follow.dense_db", W: "follow.dense_w" },
  max_pool: { y: "follow.max_y", dx: "follow.max_dx" },
  avg_pool: { y: "follow.avg_y", dx: "follow.avg_dx" },
  sigmoid: { y: "follow.sigmoid_y", dx: "follow.sigmoid_dx" },
  relu: { y: "follow.relu_y", dx: "follow.relu_dx" },
  tanh: { y: "follow.tanh_y", dx: "follow.tanh_dx" },
  loss: { p: "follow.p_words", t: "follow.t_words", L: "follow.loss_words", dy: "follow.dlogits" },
};

function wordsOf(ref) {
  const { role, layer } = grids.get(ref[0]);
  const fed = feeds(ref);
  const count = madeOf(ref).terms.length;
  const own = data.layers[layer]?.kind || "loss";
  const above = data.layers[layer + 1]?.kind || "loss";
  const passed = role === "dy" || role === "dx";
  const key = passed ? WORDS[above].dx || WORDS.loss.dy : (WORDS[own] || WORDS.loss)[role];
  const first = key ? [key, { count }] : role === "b" ? ["follow.bias"] : ["follow.pixel"];
  if (!fed.length) return first;
  return ["page.two", { first, second: ["follow.feeds", { count: fed.length, array: fed[0][0] }] }];
}

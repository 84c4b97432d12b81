"use strict";
// The page finds cells and lights them up. The engine computed every number, they all stand in
// #data, and nothing is computed here. A reference to a cell is [grid, key]; a key is an index as in
// data-index, "n,c,h,w", which for cells of the padding is below 0 or beyond the picture.

const data = JSON.parse(document.getElementById("data").textContent);
const grids = new Map();
let here = null; // the cell that is explained now
let pinned = null; // the cell last clicked or focused, to which the page goes back

const numbers = (key) => key.split(",").map(Number);
const minus = (text) => text.replace("-", "−");
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** A number as text: whole numbers in full, others with this many digits. */
function written(value, digits = 4) {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return minus(value.toPrecision(digits));
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const raised = String(Number(exponent)).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  return `${minus(mantissa)}·10${raised}`;
}

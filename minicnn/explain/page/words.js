// Words --------------------------------------------------------------------------------------------
// A sentence is [key, values], and a value may be a sentence too; other texts are of no language.

const words = JSON.parse(document.getElementById("words").textContent);
const switches = [...document.querySelectorAll("#languages button")];
const preferred = navigator.languages.map((tag) => tag.split("-")[0]);
let language = data.language || preferred.find((one) => words[one]) || "en";
const PLACE = /\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g; // {name}, {count:# cell|# cells}

/** A text in the language that the page speaks. */
function said(text) {
  if (!Array.isArray(text)) return String(text);
  const [key, values] = text;
  return words[language][key].replace(PLACE, (_, name, one, many) => {
    const value = said(values[name]);
    return one === undefined ? value : (value === "1" ? one : many).replaceAll("#", value);
  });
}

/** Write a text into an element; a sentence will follow the language. */
function put(place, text) {
  const [key, values] = Array.isArray(text) ? text : [];
  delete place.dataset.say;
  if (key) Object.assign(place.dataset, { say: key, values: JSON.stringify(values || {}) });
  place.textContent = said(text);
  return place;
}

const sentenceIn = (place) => [place.dataset.say, JSON.parse(place.dataset.values || "{}")];

/** Say everything in this language. The grids are built in the first one. */
function speak(to) {
  const changed = to !== language;
  language = to;
  for (const button of switches) button.setAttribute("aria-pressed", button.value === to);
  document.documentElement.lang = switches.find((button) => button.value === to).lang;
  for (const place of document.querySelectorAll("[data-say]")) put(place, sentenceIn(place));
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", said([place.dataset.label]));
  if (changed) for (const grid of grids.values()) grid.describe();
  if (typeof afterSpeak === "function") afterSpeak();
}

/** Speak another language, and keep what is looked at where it is: sentences differ in length. */
function switchTo(button) {
  const top = (place) => place.getBoundingClientRect().top;
  const seen = (place) => place && top(place) >= 0 && top(place) < innerHeight;
  const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 3);
  const looked = [button, document.querySelector("[data-here]"), middle?.closest("figure, section")];
  const kept = looked.find(seen) || looked[2] || document.body;
  const before = top(kept);
  speak(button.value);
  scrollBy(0, top(kept) - before);
}

document.getElementById("languages").hidden = false;
for (const button of switches) button.addEventListener("click", () => switchTo(button));

// What others wrote, made fit to show. Everything here returns plain text; nothing of it is ever read as HTML.

// Control, zero-width, direction-changing, lone surrogate and private characters: the server's `text.py` has the same list.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu;
const KEPT = new Set(["\n", "\t", "\u200d"]);

function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1).trimEnd()}…`;
}

function clean(text, most) {
  return cut(text.replace(INVISIBLE, (character) => (KEPT.has(character) ? character : "")).trim(), most);
}

function oneLine(text, most) {
  return clean(text.replace(/\s+/g, " "), most);
}

function shown(value, most) {
  return clean(typeof value === "string" ? value : JSON.stringify(value) ?? "", most);
}

function size(bytes) {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} bytes`;
}

function money(cost) {
  if (!isNumber(cost?.usd)) return "";
  return `${cost.is_estimate ? "about " : ""}$${dollars(cost.usd)}`;
}

// As at the terminal: cents, a price's own third decimal, and two digits of what is less than a cent.
function dollars(usd) {
  if (usd && Math.abs(usd) < 0.01) return String(Number(usd.toPrecision(2)));
  const isFiner = Number(usd.toFixed(3)) === usd && Number(usd.toFixed(2)) !== usd;
  return usd.toFixed(isFiner ? 3 : 2);
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

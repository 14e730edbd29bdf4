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
  return `${cost.is_estimate ? "about " : ""}${Number(cost.usd.toPrecision(4))} USD`;
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

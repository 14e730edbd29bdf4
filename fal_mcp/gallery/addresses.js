// Which addresses are embedded, which are linked, and which are only text.

const MEDIA_ORIGINS = document.querySelector('meta[name="media-origins"]').content.split(" ");
const LONGEST_NAME = 80;

function parsed(url) {
  const address = URL.canParse(url) ? new URL(url) : null;
  return address?.username || address?.password ? null : address;
}

function isOf(address, origin) {
  if (!origin.startsWith("https://*.")) return address.origin === origin;
  return address.protocol === "https:" && !address.port && address.hostname.endsWith(origin.slice("https://*".length));
}

// The page's policy says the same, and the browser holds it to that.
function isFals(url) {
  const address = parsed(url);
  return address !== null && MEDIA_ORIGINS.some((origin) => isOf(address, origin));
}

function isLinked(url) {
  return isFals(url) || parsed(url)?.protocol === "https:";
}

// A file that came as bytes, by the name that the server gave it.
function isKept(file) {
  return file.url.startsWith("fal://jobs/");
}

function isEmbedded(file) {
  if (file.url.startsWith("data:image/")) return file.kind === "image";
  return ["image", "video", "audio"].includes(file.kind) && isFals(file.url);
}

// A name to show: the last part of a link's path, as it was meant to be read.
function nameOf(url) {
  const last = isLinked(url) ? parsed(url).pathname.split("/").at(-1) : "";
  try {
    return oneLine(decodeURIComponent(last), LONGEST_NAME);
  } catch {
    return oneLine(last, LONGEST_NAME);
  }
}

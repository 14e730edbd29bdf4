// One file of a run: the thing itself where it may be embedded, else a link or its address; and what can be done with it.

const UPSCALER = "clarityai/crystal-upscaler";
const ANIMATOR = "fal-ai/kling-video/v2.5-turbo/pro/image-to-video";
const ANY_MOVEMENT = "Slow, natural movement, with the camera still.";
const LINKS = new Map([["3d", "Open the 3D model"], ["text", "Open the text"]]);
const LONGEST_ADDRESS = 200;
const KEPT_HERE = "Kept by this server, and not shown here";

function fileCard(run, file, number) {
  const name = nameOf(file.url);
  const kind = oneLine(String(file.kind), 20);
  const caption = element(
    "figcaption", {},
    element("span", { class: "name" }, name || `${kind} ${number}`),
    element("span", { class: "quiet" }, about(file)),
    typeof file.path === "string" ? element("span", { class: "quiet path" }, `Saved as ${oneLine(file.path, 300)}`) : null,
  );
  return element("figure", { "data-kind": kind }, media(run, file), caption, fileActions(run, file, number));
}

function about(file) {
  const pixels = isNumber(file.width) && isNumber(file.height) ? `${file.width} × ${file.height}` : "";
  return [oneLine(String(file.content_type ?? ""), 60), pixels, isNumber(file.size) ? size(file.size) : ""]
    .filter(Boolean).join(", ");
}

function media(run, file) {
  if (isKept(file) && file.kind === "image" && host.capabilities.serverResources !== undefined) return kept(run, file);
  if (!isEmbedded(file)) return element("div", { class: "stand-in" }, placeholder(file));
  const made = embedded(run, file);
  const gone = () => made.replaceWith(
    element("div", { class: "stand-in" }, "This file could not be loaded. Links to fal's files may expire."),
  );
  made.addEventListener("error", gone);
  return made;
}

// What came as bytes has no address that a browser knows; the host reads it from the server.
function kept(run, file) {
  const standIn = element("div", { class: "stand-in" }, "Being fetched");
  const show = ({ contents }) => {
    const { blob, mimeType } = contents[0];
    if (!/^image\/[\w.+-]+$/.test(mimeType)) throw new TypeError(mimeType);
    standIn.replaceWith(media(run, { ...file, url: `data:${mimeType};base64,${blob}` }));
  };
  ask("resources/read", { uri: file.url }).then(show).catch(() => standIn.replaceChildren(KEPT_HERE));
  return standIn;
}

function embedded(run, file) {
  const dimensions = { width: isNumber(file.width) ? file.width : null, height: isNumber(file.height) ? file.height : null };
  const label = oneLine(run.prompt, 300) || nameOf(file.url) || "What was made";
  switch (file.kind) {
    case "image":
      return element("img", { src: file.url, alt: label, loading: "lazy", ...dimensions });
    case "video":
      return element("video", { src: file.url, controls: "", playsinline: "", preload: "metadata", "aria-label": label });
    default:
      return element("audio", { src: file.url, controls: "", preload: "metadata", "aria-label": label });
  }
}

function placeholder(file) {
  if (isFals(file.url)) return file.kind === "3d" ? "3D" : oneLine(String(file.kind), 20);
  if (isLinked(file.url)) return `Not on fal's hosts, so not shown here: ${parsed(file.url).host}`;
  if (isKept(file)) return KEPT_HERE;
  const address = oneLine(file.url, LONGEST_ADDRESS);
  return file.url.startsWith("data:") ? `In the answer itself, ${size(file.url.length)}` : `Not a link: ${address}`;
}

function fileActions(run, file, number) {
  const row = element("div", { class: "actions" });
  if (file.kind === "image" && (isFals(file.url) || isKept(file) || file.url.startsWith("data:image/"))) {
    const image_url = reference(run, file, number);
    const prompt = run.prompt || ANY_MOVEMENT;
    row.append(
      ...runButton("Upscale", UPSCALER, { image_url }, run),
      ...runButton("Animate", ANIMATOR, { image_url, prompt }, run),
    );
  }
  if (isLinked(file.url)) row.append(link(isFals(file.url) ? LINKS.get(file.kind) ?? "Download" : "Open", file.url, "plain"));
  return row;
}

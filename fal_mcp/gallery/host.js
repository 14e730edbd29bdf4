// The conversation with the host: JSON-RPC in messages between windows (SEP-1865).

const PROTOCOL_VERSION = "2026-01-26";
const METHOD_NOT_FOUND = -32601;

const host = { capabilities: {}, context: {} };
const waiting = new Map();
const heard = new Map();
let lastId = 0;

function post(message) {
  // Which origin the host shows us from is its own choice; all it is sent is what it sent us.
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

function tell(method, params) {
  post({ method, params });
}

function ask(method, params) {
  const id = ++lastId;
  post({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function hear(method, act) {
  heard.set(method, act);
}

function callTool(name, given) {
  return ask("tools/call", { name, arguments: given });
}

function canCall() {
  return host.capabilities.serverTools !== undefined;
}

function learn(context) {
  Object.assign(host.context, context);
  const { theme } = host.context;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

function settle({ id, result, error }) {
  const asked = waiting.get(id);
  waiting.delete(id);
  if (error) asked?.reject(new Error(shown(error.message ?? "no reason given", 300)));
  else asked?.resolve(result ?? {});
}

function answer({ id, method, params }) {
  if (method !== "ping" && !heard.has(method)) {
    return post({ id, error: { code: METHOD_NOT_FOUND, message: `The gallery does not answer ${method}.` } });
  }
  heard.get(method)?.(params ?? {});
  post({ id, result: {} });
}

function receive({ source, data }) {
  if (source !== window.parent || data?.jsonrpc !== "2.0") return;
  if (data.method === undefined) settle(data);
  else if (data.id !== undefined) answer(data);
  else heard.get(data.method)?.(data.params ?? {});
}

async function connect() {
  window.addEventListener("message", receive);
  const welcome = await ask("ui/initialize", {
    appInfo: { name: "fal gallery", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline"] },
    protocolVersion: PROTOCOL_VERSION,
  });
  host.capabilities = welcome.hostCapabilities ?? {};
  learn(welcome.hostContext ?? {});
  tell("ui/notifications/initialized", {});
}

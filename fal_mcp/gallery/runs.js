// The runs on the page: each is shown as it stands, followed until it is over, and may be followed by others.

const POLL_SECONDS = 20;
// The server may hold the line for less than it is asked to.
const POLL_PAUSE_MS = 1000;
const LONGEST_VALUE = 600;

const page = document.getElementById("runs");
let isOver = false;

// One run and its place on the page; `change` shows it anew.
function place(run, previous = null) {
  const section = element("section", { tabindex: "-1" });
  if (previous) previous.after(section);
  else page.append(section);
  const shownRun = { run, section };
  change(shownRun, run);
  return shownRun;
}

function change(shownRun, run) {
  shownRun.run = run;
  shownRun.section.dataset.phase = run.phase;
  shownRun.section.setAttribute("aria-label", oneLine(run.endpointId, 120) || "Run");
  shownRun.section.replaceChildren(...[header(run), ...body(shownRun), settings(run)].filter(Boolean));
}

// Polls wait_for_job, which costs nothing, until the run is over or the host no longer answers.
async function follow(shownRun) {
  while (!isOver && canCall() && shownRun.run.phase === "running" && shownRun.run.jobId) {
    const { jobId } = shownRun.run;
    try {
      const result = await callTool("wait_for_job", { job_id: jobId, seconds: POLL_SECONDS });
      if (shownRun.run.jobId === jobId) change(shownRun, after(shownRun.run, result));
    } catch (error) {
      const standing = `The host gave no answer (${error.message}). The run goes on: ask for job ${oneLine(jobId, 80)}.`;
      return change(shownRun, { ...shownRun.run, standing });
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_PAUSE_MS));
  }
}

// Money is spent here, and only after the question was answered.
async function runModel(endpointId, given, origin) {
  const started = place(newRun({ endpointId, arguments: given }), origin);
  started.section.focus();
  try {
    const result = await callTool("run_model", { endpoint_id: endpointId, arguments: given });
    change(started, after(started.run, result));
    await follow(started);
  } catch (error) {
    const said = [`The host gave no answer (${error.message}). It may be running: ask for list_jobs before it is run again.`];
    change(started, { ...started.run, phase: "failed", standing: "", said });
  }
}

function runButton(label, endpointId, given, run) {
  if (!canCall()) return [];
  const last = endpointId === run.endpointId && run.cost ? ` The last run cost ${money(run.cost) || "an unknown amount"}.` : "";
  const question = `This costs money: it runs ${oneLine(endpointId, 120)} at fal.${last} Run it?`;
  const start = (opener) => {
    const origin = opener.closest("section");
    confirmation(question, opener, () => runModel(endpointId, given, origin));
  };
  return [button(label, start)];
}

function header(run) {
  const phases = { running: run.standing, completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
  const seed = run.seed === null ? "" : `seed ${run.seed}`;
  const status = [phases[run.phase], ...run.facts, seed].filter(Boolean).join(" · ");
  return element(
    "header", {},
    element("h2", {}, oneLine(run.endpointId, 120) || "fal"),
    element("p", { class: "status", role: "status" }, status),
    run.phase === "running" ? element("progress", { "aria-label": run.standing }) : null,
  );
}

function body(shownRun) {
  const { run } = shownRun;
  const prompt = shown(run.prompt || text(run.arguments?.prompt), LONGEST_TEXT);
  const words = run.said.map((said) => element("p", { class: run.phase === "failed" ? "failure" : "said" }, said));
  const cards = run.files.map((file, index) => fileCard(run, file, index + 1));
  const again = run.phase === "completed" ? reseeded(run) : null;
  const actions = again && run.endpointId ? runButton("Again with another seed", run.endpointId, again, run) : [];
  return [
    prompt ? element("p", { class: "prompt" }, prompt) : null,
    cards.length ? element("div", { class: "files" }, ...cards) : null,
    ...words,
    actions.length ? element("div", { class: "actions" }, ...actions) : null,
  ];
}

function settings(run) {
  const known = Object.entries(run.arguments ?? {}).filter(([name]) => name !== "prompt");
  if (!known.length) return null;
  const rows = known.map(([name, value]) => element(
    "div", {}, element("dt", {}, oneLine(name, 80)), element("dd", {}, shown(value, LONGEST_VALUE)),
  ));
  return element("details", {}, element("summary", {}, "Parameters"), element("dl", {}, ...rows));
}

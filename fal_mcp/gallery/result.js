// What was asked for and what the server answered, read into one run. Knows nothing of the page.

const LONGEST_TEXT = 4000;
const STANDINGS = {
  queued: "Waiting in fal's queue",
  running: "Running",
  intent: "Being submitted",
  unknown: "Submitted; fal's answer was lost and is being looked for",
};
const SEEDS = ["seed", "noise_seed"];
// Some models take no larger one.
const LARGEST_SEED = 65_535;

function newRun(given = {}) {
  return {
    phase: "running", standing: "Running", said: [], files: [], facts: [], cost: null,
    endpointId: "", arguments: null, prompt: "", seed: null, jobId: "", ...given,
  };
}

// A tool of one model is given the model's arguments; run_model carries them beside its id; the job tools have none.
function asked(input, tool) {
  const known = tool?._meta?.["fal/endpoint_id"];
  if (typeof known === "string") return { endpointId: known, arguments: input };
  if (typeof input.endpoint_id === "string" && isObject(input.arguments)) {
    return { endpointId: input.endpoint_id, arguments: input.arguments };
  }
  return typeof input.job_id === "string" ? {} : { arguments: input };
}

// `run`, as `result` says it stands now.
function after(run, result) {
  // Some hosts get the data beside the answer, since they show their models no picture of an answer that has it.
  const data = [result.structuredContent, result._meta?.["fal/data"]].find(isObject) ?? {};
  const known = { ...run, standing: "", endpointId: text(data.endpoint_id) || run.endpointId, jobId: text(data.job_id) };
  known.cost = isObject(data.cost) ? data.cost : null;
  if (result.isError || data.status === "failed") return { ...known, phase: "failed", said: texts(result) };
  if (data.status === "in_progress" || data.status === "unknown") {
    return { ...known, phase: "running", standing: standing(data), jobId: known.jobId || run.jobId };
  }
  const output = isObject(data.output) ? data.output : {};
  return {
    ...known,
    phase: "completed",
    files: Array.isArray(data.files) ? data.files.filter((file) => typeof file?.url === "string") : [],
    said: data.status === "completed" ? told(output) : texts(result),
    prompt: text(run.arguments?.prompt) || text(output.prompt),
    seed: SEEDS.map((name) => output[name] ?? run.arguments?.[name]).find(isNumber) ?? null,
    facts: facts(data),
  };
}

function standing(data) {
  const before = isNumber(data.queue_position) && data.queue_position > 0 ? `, ${data.queue_position} before it` : "";
  return `${STANDINGS[data.state] ?? "Running"}${before}`;
}

function text(value) {
  return typeof value === "string" ? value : "";
}

function texts(result) {
  const blocks = Array.isArray(result.content) ? result.content : [];
  return blocks.filter((block) => block?.type === "text").map((block) => shown(block.text, LONGEST_TEXT));
}

// An answer in words, such as a transcript; the prompt and the files have places of their own.
function told(output) {
  const words = Object.entries(output).filter(([name, value]) => typeof value === "string" && name !== "prompt");
  return words.filter(([, value]) => !/^(?:(?:https?|data):|file \d+$)/.test(value)).map(([, value]) => clean(value, LONGEST_TEXT));
}

function facts(data) {
  const ran = data.timing?.run_s;
  return [isNumber(ran) ? `ran for ${ran.toFixed(1)} s` : "", money(data.cost)].filter(Boolean);
}

// The same arguments with another seed; null where the model neither took nor gave one.
function reseeded(run) {
  if (run.seed === null || run.arguments === null) return null;
  const name = SEEDS.find((one) => one in run.arguments) ?? "seed";
  const random = () => crypto.getRandomValues(new Uint32Array(1))[0] % (LARGEST_SEED + 1);
  let seed = random();
  while (seed === run.seed) seed = random();
  return { ...run.arguments, [name]: seed };
}

// The n-th file as an argument of the next run: by its job, so that fal's address need not be copied.
function reference(run, file, number) {
  return run.jobId ? `fal://jobs/${run.jobId}/files/${number}` : file.url;
}

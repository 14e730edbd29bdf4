// The TypeScript SDK's client: the first call is aborted while it runs; the rest follows on the same connection.
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const { command, arguments: args, environment: env, steps } = JSON.parse(process.argv[2]);
const tell = (said) => process.stdout.write(`\n@@${JSON.stringify(said)}\n`);
// A line of the test's says when: first for the abort, then for the rest.
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const client = new Client({ name: "typescript", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env }));
tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });
const [[first, given], ...rest] = steps;
const abort = new AbortController();
const call = client.callTool({ name: first, arguments: given }, undefined, { signal: abort.signal });
const told = call.then(JSON.stringify, String);
await lines.next();
abort.abort("enough");
tell({ handed: await told });
await lines.next();
for (const [name, asked] of rest) {
  tell({ handed: JSON.stringify((await client.callTool({ name, arguments: asked })).content) });
}
await client.close();
process.exit();

// The TypeScript SDK: without resetTimeoutOnProgress it gives up after a minute, whatever the model is doing.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const client = new Client({ name: "example", version: "1.0.0" });
const command = process.env.FAL_MCP ?? "fal-mcp";
await client.connect(new StdioClientTransport({ command, args: [], env: process.env }));

const options = {
  timeout: 120_000,
  resetTimeoutOnProgress: true,
  onprogress: ({ progress, message }) => console.log(`  ${progress}: ${message}`),
};
const call = { name: "fal-ai_flux_dev", arguments: { prompt: "a lighthouse at dusk" } };
const result = await client.callTool(call, undefined, options);
console.log(result.isError ? result.content[0].text : result.structuredContent.files[0].url);
await client.close();
process.exit(result.isError ? 1 : 0);

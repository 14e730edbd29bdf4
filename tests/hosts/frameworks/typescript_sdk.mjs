// The TypeScript SDK's client, as it comes.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { command, arguments: args, environment: env, url, headers, steps } = JSON.parse(process.argv[2]);
const tell = (said) => process.stdout.write(`\n@@${JSON.stringify(said)}\n`);
const client = new Client({ name: "typescript", version: "1" });
await client.connect(
  url
    ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, env }),
);
tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });
for (const [name, given] of steps) {
  const { content } = await client.callTool({ name, arguments: given });
  tell({ handed: JSON.stringify(content), has_picture: content.some((block) => block.type === "image") });
}
await client.close();

// Vercel's AI SDK: what a tool's execute gives, and its own conversion of that for a model.
import { createMCPClient } from "@ai-sdk/mcp";
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";

const { command, arguments: args, environment: env, url, headers, steps } = JSON.parse(process.argv[2]);
const tell = (said) => process.stdout.write(`\n@@${JSON.stringify(said)}\n`);
const local = url ? null : new Experimental_StdioMCPTransport({ command, args, env });
const client = await createMCPClient({ transport: local ?? { type: "http", url, headers } });
const tools = await client.tools();
tell({ tools: Object.keys(tools) });
for (const [number, [name, input]] of steps.entries()) {
  const toolCallId = `c${number}`;
  let handed;
  try {
    const output = await tools[name].execute(input, { toolCallId, messages: [] });
    handed = tools[name].toModelOutput ? await tools[name].toModelOutput({ toolCallId, input, output }) : output;
  } catch (error) {
    handed = String(error);
  }
  const has_picture = (handed?.value ?? []).some?.((part) => /^(image|file|media)/.test(part.type)) ?? false;
  tell({ handed: JSON.stringify(handed), has_picture });
}
await client.close();

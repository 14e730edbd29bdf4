"""OpenAI's Agents SDK, with a scripted model in the agent."""

import asyncio
import json
from typing import Any

import script
from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class Scripted(Model):
    turn = 0

    async def get_response(self, *rest: Any, **given: Any) -> Any:
        if self.turn == 0:
            script.listed([tool.name for tool in given["tools"]])
        else:
            output = given["input"][-1]["output"]
            has_picture = isinstance(output, list) and any(part.get("type") == "input_image" for part in output)
            script.handed(output, has_picture=has_picture)
        self.turn += 1
        if self.turn > len(script.STEPS):
            text = ResponseOutputText(text="done", type="output_text", annotations=[])
            done = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
            return ModelResponse(output=[done], usage=Usage(), response_id=None)
        name, arguments = script.STEPS[self.turn - 1]
        call = ResponseFunctionToolCall(
            call_id=f"c{self.turn}", name=name, arguments=json.dumps(arguments), type="function_call"
        )
        return ModelResponse(output=[call], usage=Usage(), response_id=None)

    async def stream_response(self, *rest: Any, **more: Any) -> Any:
        raise NotImplementedError
        yield


async def main() -> None:
    set_tracing_disabled(True)
    local: Any = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT}
    remote: Any = {"url": script.URL, "headers": script.HEADERS}
    made: Any = MCPServerStreamableHttp if script.URL else MCPServerStdio
    async with made(remote if script.URL else local, client_session_timeout_seconds=60) as server:
        await Runner.run(Agent(name="a", mcp_servers=[server], model=Scripted()), "go", max_turns=20)


if __name__ == "__main__":
    asyncio.run(main())

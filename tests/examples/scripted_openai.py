"""The OpenAI example with a model that asks for one picture, and says what it was handed."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from agents import Model, ModelResponse, Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import openai_agents


class Scripted(Model):
    async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **more: Any) -> ModelResponse:
        handed = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
        if handed:
            text = ResponseOutputText(text=str(handed[-1]["output"]), type="output_text", annotations=[])
            message = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
            return ModelResponse(output=[message], usage=Usage(), response_id=None)
        call = ResponseFunctionToolCall(
            arguments='{"prompt": "a lighthouse"}', call_id="c", name="fal-ai_flux_dev", type="function_call"
        )
        return ModelResponse(output=[call], usage=Usage(), response_id=None)

    def stream_response(self, *rest: Any, **more: Any) -> Any:
        raise NotImplementedError


print(asyncio.run(openai_agents.main(Scripted())))

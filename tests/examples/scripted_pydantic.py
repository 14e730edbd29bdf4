"""The Pydantic AI example with a model that asks for one picture, and says what it was handed."""

import asyncio
import sys
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import pydantic_ai_agent


def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    returns = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if returns:
        return ModelResponse([TextPart(str(returns[-1].content))])
    return ModelResponse([ToolCallPart("fal-ai_flux_dev", {"prompt": "a lighthouse"})])


print(asyncio.run(pydantic_ai_agent.main(FunctionModel(script))))

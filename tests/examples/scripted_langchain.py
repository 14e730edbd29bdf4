"""The LangChain example with a model that asks for one picture, and says what it was handed."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import langchain_agent


class Scripted(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **more: Any) -> Any:
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        handed = [message for message in messages if isinstance(message, ToolMessage)]
        call = {"name": "fal-ai_flux_dev", "args": {"prompt": "a lighthouse"}, "id": "c"}
        answer = AIMessage(str(handed[-1].content)) if handed else AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])


print(asyncio.run(langchain_agent.main(Scripted())))

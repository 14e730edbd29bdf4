"""Puts every tool of a file through the converters that are installed here, and counts what each refuses.

Run by `.ci/converters` in an environment of its own: it knows nothing of the project but the file.
"""

import copy
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Convert = Callable[[dict[str, Any]], Any]


def langchain_google() -> Convert:
    utils: Any = importlib.import_module("langchain_google_genai._function_utils")

    def convert(tool: dict[str, Any]) -> Any:
        named = {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}
        return utils.convert_to_genai_function_declarations([named])

    return convert


def langchain_openai_strict() -> Convert:
    calling: Any = importlib.import_module("langchain_core.utils.function_calling")
    return lambda tool: calling.convert_to_openai_tool(
        {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}, strict=True
    )


def langchain_anthropic() -> Convert:
    models: Any = importlib.import_module("langchain_anthropic.chat_models")
    return lambda tool: models.convert_to_anthropic_tool(
        {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}
    )


def google_mcp_tool() -> Convert:
    utils: Any = importlib.import_module("google.genai._mcp_utils")
    types: Any = importlib.import_module("mcp.types")
    return lambda tool: utils.mcp_to_gemini_tool(
        types.Tool(name=tool["name"], description=tool["description"], inputSchema=tool["inputSchema"])
    )


def google_schema() -> Convert:
    types: Any = importlib.import_module("google.genai.types")
    return lambda tool: types.Schema.model_validate(tool["inputSchema"])


def google_json_schema() -> Convert:
    types: Any = importlib.import_module("google.genai.types")
    return lambda tool: types.Schema.from_json_schema(
        json_schema=types.JSONSchema.model_validate(tool["inputSchema"]), api_option="GEMINI_API"
    )


def openai_agents() -> Convert:
    strict: Any = importlib.import_module("agents.strict_schema")
    open_ended: Any = importlib.import_module("agents.exceptions").UserError

    def convert(tool: dict[str, Any]) -> Any:
        try:
            return strict.ensure_strict_json_schema(tool["inputSchema"])
        except open_ended:
            # Arguments of any name are not for the strict form: the tool is taken as it is.
            return tool["inputSchema"]

    return convert


def pydantic_ai_openai_strict() -> Convert:
    openai: Any = importlib.import_module("pydantic_ai.profiles.openai")
    return lambda tool: openai.OpenAIJsonSchemaTransformer(tool["inputSchema"], strict=True).walk()


def pydantic_ai_google() -> Convert:
    google: Any = importlib.import_module("pydantic_ai.profiles.google")
    return lambda tool: google.GoogleJsonSchemaTransformer(tool["inputSchema"], strict=True).walk()


def llama_index() -> Convert:
    base: Any = importlib.import_module("llama_index.tools.mcp.base")
    spec: Any = base.McpToolSpec(client=None)
    return lambda tool: spec.create_model_from_json_schema(tool["inputSchema"], model_name=tool["name"])


def llama_cpp() -> Convert:
    grammar: Any = importlib.import_module("llama_grammar")
    return lambda tool: grammar.json_schema_to_gbnf(json.dumps(tool["inputSchema"]))


CONVERTERS = {
    "langchain-google-genai": langchain_google,
    "langchain-openai, strict": langchain_openai_strict,
    "langchain-anthropic": langchain_anthropic,
    "google-genai, mcp_to_gemini_tool": google_mcp_tool,
    "google-genai, parameters": google_schema,
    "google-genai, from_json_schema": google_json_schema,
    "openai-agents, strict": openai_agents,
    "pydantic-ai, OpenAI strict": pydantic_ai_openai_strict,
    "pydantic-ai, Google": pydantic_ai_google,
    "llama-index-tools-mcp": llama_index,
    "llama-cpp-python's grammar": llama_cpp,
}


def failures(convert: Convert, tools: list[dict[str, Any]]) -> dict[str, str]:
    """Why each of the tools that could not be converted could not."""
    found: dict[str, str] = {}
    for tool in tools:
        try:
            convert(copy.deepcopy(tool))
        except Exception as error:  # whatever a converter makes of it, its host would
            found[tool["name"]] = f"{type(error).__name__}: {str(error)[:300]}"
    return found


def main(file: str) -> int:
    """Prints a line for each converter; how many refused something."""
    tools: list[dict[str, Any]] = json.loads(Path(file).read_text("utf-8"))
    refusing = 0
    for name, make in CONVERTERS.items():
        try:
            convert = make()
        except (ImportError, AttributeError) as error:
            sys.stdout.write(f"skipped: {name}: {str(error)[:200]}\n")
            continue
        found = failures(convert, tools)
        refusing += bool(found)
        sys.stdout.write(f"{name}: {len(found)} of {len(tools)} refused\n")
        sys.stdout.writelines(f"  {tool}: {reason}\n" for tool, reason in list(found.items())[:8])
    return refusing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

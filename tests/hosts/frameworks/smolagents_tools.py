"""smolagents: a tool's plain value."""

import script
from mcp import StdioServerParameters
from smolagents import MCPClient

local = StdioServerParameters(command=script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT)
remote = {"url": script.URL, "headers": script.HEADERS, "transport": "streamable-http"}
with MCPClient(remote if script.URL else local, structured_output=False) as tools:
    by_name = {tool.name: tool for tool in tools}
    script.listed(list(by_name))
    for name, arguments in script.STEPS:
        value = by_name[name](**arguments)
        script.handed(str(value), has_picture=not isinstance(value, str))

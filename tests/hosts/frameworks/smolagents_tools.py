"""smolagents: a tool's plain value."""

import script
from mcp import StdioServerParameters
from smolagents import MCPClient

server = StdioServerParameters(command=script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT)
with MCPClient(server, structured_output=False) as tools:
    by_name = {tool.name: tool for tool in tools}
    script.listed(list(by_name))
    for name, arguments in script.STEPS:
        script.handed(str(by_name[name](**arguments)))

"""The only code that speaks MCP."""

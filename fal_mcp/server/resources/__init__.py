"""MCP resources, by their addresses."""

"""What stands between the network and the MCP server: limits, names, and who is let in."""

"""An MCP server that gives AI assistants every model on fal, each as its own typed tool."""

__version__ = "0.1.0"

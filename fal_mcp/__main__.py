"""`python -m fal_mcp` is the command `fal-mcp`."""

from fal_mcp.entry import main

if __name__ == "__main__":
    main()

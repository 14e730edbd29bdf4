from fal_mcp.entry import main

main()

"""What a tool is, and the ways to make one."""

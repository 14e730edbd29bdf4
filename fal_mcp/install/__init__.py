"""Putting this server into the configuration of the programs that use it, and taking it out again."""

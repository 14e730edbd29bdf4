"""Tools for the account's own apps."""

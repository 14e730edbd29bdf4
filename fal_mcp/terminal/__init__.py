"""The engine at the command line: what a person sees who runs a model without an assistant."""

"""The only code that talks to fal."""

"""Pictures of the terminal and of the gallery. `python -m pictures` makes them in `docs/pictures/`."""

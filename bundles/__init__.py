"""What the shelves need that hosts and registries are filled from, made from the settings by one script."""

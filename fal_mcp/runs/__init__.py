"""The run of a model: through fal's queue or without it, over a realtime connection, with its price and its files."""

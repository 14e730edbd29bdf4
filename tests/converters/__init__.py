"""Every listed tool through the converters of real hosts; `.ci/converters` makes their environment."""

"""Why a configuration was left as it was."""


class NotInstalled(Exception):
    """Nothing was changed; the message says why, and what to do instead."""

"""Why somebody is not let in."""


class NotLetIn(Exception):
    """`status` and `error` are HTTP's and OAuth's words; `scope` is what would be needed."""

    def __init__(self, status: int, message: str, error: str = "", *, scope: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = error
        self.scope = scope
        self.retry_after = retry_after


def unknown(message: str = "A token is needed, as Authorization: Bearer ….") -> NotLetIn:
    """Nobody said who asks, so that the challenge names no error (RFC 6750, section 3)."""
    return NotLetIn(401, message)


def invalid(message: str = "The token is none that this server takes, or no longer.") -> NotLetIn:
    """Whatever is wrong with a token is said in the same words: a guess learns nothing from them."""
    return NotLetIn(401, message, "invalid_token")

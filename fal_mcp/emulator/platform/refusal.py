"""The Platform host's errors, in the one envelope that it has for all of them. Fact F6.1."""

from starlette.responses import JSONResponse, Response

_WORDS = {
    400: ("validation_error", "Invalid request parameters"),
    401: ("authorization_error", "Authentication required"),
    403: ("authorization_error", "Access denied"),
    404: ("not_found", "Resource not found"),
    409: ("validation_error", "The resource exists already"),
}


class Refused(Exception):
    """The request is answered with an error; without a message, with fal's usual one for the status."""

    def __init__(self, status: int, message: str = "") -> None:
        self.status = status
        self.kind, usual = _WORDS[status]
        self.message = message or usual
        super().__init__(self.message)

    def response(self) -> Response:
        """The envelope."""
        return JSONResponse({"error": {"type": self.kind, "message": self.message}}, self.status)

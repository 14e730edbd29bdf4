"""OpenTelemetry's spans of one run, below the span that the MCP SDK opens for a call: decide, submit, follow, save.

The one door of OpenTelemetry. Where no SDK of it is set up nothing is recorded and nothing is sent. What stands in a
span is an id, an endpoint or the kind of an error; never a prompt, a key, an address or an error's text.
"""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import propagate, trace

_CONTEXT = ("traceparent", "tracestate")


@contextmanager
def span(name: str, **about: str) -> Generator[None]:
    """One step of a run; what is raised in it marks it as failed, by its kind alone."""
    attributes = {f"fal.{key}": value for key, value in about.items()}
    tracer = trace.get_tracer("fal-mcp")
    # An exception's text may quote what fal said of a prompt.
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__qualname__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def headers() -> dict[str, str]:
    """The headers that tell the other side which trace a request belongs to; none where nothing is traced."""
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    # Baggage is whatever a client chose to send along, and none of fal's business.
    return {name: value for name, value in carrier.items() if name in _CONTEXT}

"""OpenTelemetry's spans of one run, below the span that the MCP SDK opens for a call: decide, submit, follow, save.

The one door of OpenTelemetry. Where no SDK of it is set up nothing is recorded and nothing is sent. What stands in a
span is an id, an endpoint or the kind of an error; never a prompt, a key, an address or an error's text.
"""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_CONTEXT = ("traceparent", "tracestate")
_W3C = TraceContextTextMapPropagator()
"""What is kept is of one form, whatever the process is set to send."""


@contextmanager
def span(name: str, began_in: str = "", **about: str) -> Generator[None]:
    """One step of a run; what is raised in it marks it as failed, by its kind alone.

    `began_in` is the traceparent of the call that the step belongs to: in any other trace, such as that of a server
    which took the run over, the step is that call's child, and linked to whatever is going on here.
    """
    attributes = {f"fal.{key}": value for key, value in about.items()}
    tracer = trace.get_tracer("fal-mcp")
    context, links = _belonging(began_in)
    # An exception's text may quote what fal said of a prompt.
    with tracer.start_as_current_span(
        name, context, attributes=attributes, links=links, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__qualname__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def current() -> str:
    """The traceparent of what is going on now; empty where nothing is traced."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


def _belonging(traceparent: str) -> tuple[Context | None, list[trace.Link]]:
    """The context that a step of this call goes on in, None for the present one; and what it is linked to."""
    here = trace.get_current_span().get_span_context()
    context = _W3C.extract({"traceparent": traceparent})
    there = trace.get_current_span(context).get_span_context()
    if not traceparent or not there.is_valid or there.trace_id == here.trace_id:
        return None, []
    return context, [trace.Link(here)] if here.is_valid else []


def headers() -> dict[str, str]:
    """The headers that tell the other side which trace a request belongs to; none where nothing is traced."""
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    # Baggage is whatever a client chose to send along, and none of fal's business.
    return {name: value for name, value in carrier.items() if name in _CONTEXT}

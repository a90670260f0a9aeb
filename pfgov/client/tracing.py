"""Spans of OpenTelemetry around what a worker does, where its API is installed (the extra ``otel``); else nothing."""

import contextlib
import importlib
from collections.abc import Generator
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _tracer() -> Any:
    try:
        return importlib.import_module("opentelemetry.trace").get_tracer("pfgov.client")
    except ImportError:
        return None


@contextlib.contextmanager
def span(name: str, **attributes: str | int) -> Generator[None]:
    """Be inside a span with *attributes*, each under ``pfgov.``; what is raised inside is noted in it."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    named = {f"pfgov.{key}": value for key, value in attributes.items()}
    with tracer.start_as_current_span(name, attributes=named):
        yield

"""Whether a service records spans, by OpenTelemetry's own environment variables. When not, nothing of it is even imported."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import AnyHttpUrl

from runtime.service import Environment, Share, load_settings

if TYPE_CHECKING:
    from runtime.spans import Tracer


class Settings(Environment):
    """The variables that are understood here; the exporter reads its other ones (OTEL_EXPORTER_OTLP_..., OTEL_BSP_...) itself."""

    otel_exporter_otlp_endpoint: AnyHttpUrl | None = None
    otel_sdk_disabled: bool = False
    otel_service_name: str | None = None
    otel_traces_sampler: Literal["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] = (
        "parentbased_always_on"
    )
    otel_traces_sampler_arg: Share = 1.0

    @property
    def share(self) -> float:
        """Of the traces that begin here, those that are recorded: from 0 to 1."""
        shares = {"parentbased_always_on": 1.0, "parentbased_always_off": 0.0}
        return shares.get(self.otel_traces_sampler, self.otel_traces_sampler_arg)


@contextmanager
def tracer(service: str, begins: bool = True) -> Generator["Tracer | None"]:
    """The service's tracer while the block runs, or None when tracing is off. With `begins`, records that come without a trace
    may begin one. Raises UserError for an invalid setting.
    """
    settings = load_settings(Settings)
    collector = settings.otel_exporter_otlp_endpoint
    if settings.otel_sdk_disabled or collector is None:
        yield None
        return
    from runtime.spans import Tracer  # costs memory and time that a service without tracing need not spend

    share = settings.share if begins else 0.0
    running = Tracer(settings.otel_service_name or service, share, str(collector))
    try:
        yield running
    finally:
        running.close()

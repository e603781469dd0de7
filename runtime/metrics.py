"""A service's HTTP endpoints: Prometheus metrics at /metrics, health at /healthz."""

from collections.abc import Callable
from http.server import ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from prometheus_client import Gauge, MetricsHandler, disable_created_metrics

from runtime.service import Environment, Port, load_settings

disable_created_metrics()  # they add a second series per metric, which nothing here reads

# Named and labelled like the lag, so that a rule can combine the two for one group.
LAST_COMMIT = Gauge(
    "kafka_consumergroup_last_commit_timestamp_seconds",
    "Unix time of the group's last commit; 0 before the first",
    ["group"],
)


class Settings(Environment):
    """Where to listen; nothing is served unless METRICS_PORT is set."""

    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None


def serve(problem: Callable[[], str | None]) -> None:
    """Serve /metrics and /healthz (200, or 503 with the problem) in a thread of its own.

    Raises UserError for a wrong setting, OSError when the port is taken.
    """
    settings = load_settings(Settings)
    if settings.metrics_port is None:
        return

    class Handler(MetricsHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                super().do_GET()
            elif path == "/healthz":
                found = problem()
                self._say(503 if found else 200, found or "ok")
            else:
                self._say(404, "there are /metrics and /healthz")

        def _say(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((settings.metrics_host, settings.metrics_port), Handler)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()

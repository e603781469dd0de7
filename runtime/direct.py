"""HTTP to the stack's own services, which ignores the environment (a proxy setting, for example)."""

import requests


def session() -> requests.Session:
    """A session that connects directly."""
    http = requests.Session()
    http.trust_env = False
    return http

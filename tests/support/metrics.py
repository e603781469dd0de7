"""Reads metrics: those of this process, or those that a service answers with."""

from collections.abc import Mapping

import requests
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


def scrape(url: str) -> dict[Series, float]:
    """Every sample of a service."""
    answer = requests.get(f"{url}/metrics", timeout=10)
    answer.raise_for_status()
    return {
        series(sample.name, **sample.labels): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def series(name: str, **labels: str) -> Series:
    """The key of a sample."""
    return name, frozenset(labels.items())


class Increase:
    """How much the samples of this process have grown since now."""

    def __init__(self) -> None:
        self._before = self._now()

    def of(self, name: str, **labels: str) -> float:
        """Of one sample, which has to be there."""
        key = series(name, **labels)
        return self._now()[key] - self._before.get(key, 0.0)

    @staticmethod
    def _now() -> Mapping[Series, float]:
        return {
            series(sample.name, **sample.labels): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }

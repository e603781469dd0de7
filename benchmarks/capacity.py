"""The case of the capacity: the rate is raised in steps until the whole stack does not carry it any more."""

import logging
import time
from typing import NamedTuple

from benchmarks.cases import Plan
from benchmarks.lab import Lab
from benchmarks.report import Row
from benchmarks.whole_stack import PATIENCE_SECONDS, bank, cpu_seconds, silent_stack, state_of
from contracts import topics
from tests.support.stack import Stack

logger = logging.getLogger(__name__)

STEP = 1.2  # times the rate before
# A rate is not carried when a lag grows by more than this share of what is sent. The lowest lag of EDGE counts: those of
# sinks go up and down with their commits, every 5 s.
GROWTH = 0.2
EDGE_SECONDS = 8.0
RESULT = "the result topic"
STORES = {"connect-mongodb": "MongoDB", "connect-s3": "S3", "s3-archiver": "S3"}  # by the beginning of the group's name
TARGETS = (RESULT, "MongoDB", "S3")


class Step(NamedTuple):
    """What was really sent, in transactions/s, where a lag grew, and each service's seconds of CPU per 1,000 of them."""

    rate: float
    behind: set[str]
    cost: dict[str, float]


def capacity(plan: Plan) -> list[Row]:
    """The highest rates that are carried to the result topic and to the stores, and what the last costs that all carry."""
    carried = {target: Row(f"capacity to {target}", "transactions/s") for target in TARGETS}
    costs: dict[str, Row] = {}
    for _ in range(plan.repetitions):
        highest, cost = dict.fromkeys(TARGETS, 0.0), dict[str, float]()
        standing, rate = set(TARGETS), float(plan.stack_rates[-1])
        with silent_stack() as (stack, lab):
            with bank(lab, rate):
                time.sleep(plan.stack_warm_up)
            while rate <= plan.highest_rate:
                with bank(lab, rate):
                    step = _step(stack, lab, plan.stack_seconds)
                logger.info("%.0f/s of %.0f/s sent, behind: %s", step.rate, rate, ", ".join(step.behind) or "nothing")
                if RESULT in step.behind:  # and no store gets more than that topic has
                    break
                standing -= step.behind
                highest |= dict.fromkeys(standing, step.rate)
                cost = cost if step.behind else step.cost
                rate *= STEP
        for target, value in highest.items():
            carried[target].ours.append(value)
        if cost:  # there was a rate that all carried
            cost = {"all services": sum(cost.values()), **cost}
        for service, seconds in cost.items():
            row = costs.setdefault(service, Row(f"cost of 1,000 transactions, {service}", "CPU seconds"))
            row.ours.append(seconds)
    return [*carried.values(), *costs.values()]


def _step(stack: Stack, lab: Lab, seconds: float) -> Step:
    """Look at the lags before and after so many seconds of a rate that is being sent."""
    before = _lowest_lags(stack)
    sent, started = lab.end(topics.BANK_TRANSACTIONS).total, time.monotonic()
    used = cpu_seconds(stack, seconds)
    sent = lab.end(topics.BANK_TRANSACTIONS).total - sent
    rate = sent / (time.monotonic() - started)
    grown = {group: lag - before.get(group, 0) for group, lag in _lowest_lags(stack).items()}
    logger.info("lags grew by %s", grown)
    behind = {
        next((store for beginning, store in STORES.items() if group.startswith(beginning)), RESULT)
        for group, lag in grown.items()
        if lag > GROWTH * sent
    }
    return Step(rate, behind, {service: 1000 * one / sent for service, one in used.items()})


def _lowest_lags(stack: Stack) -> dict[str, int]:
    """The lowest lag of each consumer group in the next seconds."""
    lowest: dict[str, int] = {}
    until = time.monotonic() + EDGE_SECONDS
    while time.monotonic() < until or not lowest:
        if (counts := state_of(stack)["counts"]) is not None:  # the console was slow to answer the launcher
            lowest = {group: min(lag, lowest.get(group, lag)) for group, lag in counts["lags"].items()}
        assert time.monotonic() < until + PATIENCE_SECONDS, "the console gives no lags"
        time.sleep(0.5)
    return lowest

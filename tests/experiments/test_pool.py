"""Jobs in several processes: all are done, one that fails or dies is told, and the others go on."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import pytest

from dcdp.experiments import pool
from dcdp.experiments.pool import Failure, run_jobs


@dataclass(frozen=True)
class Job:
    """What the fake `run_job` below is to do."""

    name: str
    act: str = "work"


def fake_run(job, report):
    """Stand in for `dcdp.experiments.fold_job.run_job`."""
    report(1, 2, "half")
    if job.act == "raise":
        raise ValueError("no")
    if job.act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.act == "sleep":
        time.sleep(600)
    report(2, 2, "whole")
    return {"name": job.name, "pid": os.getpid()}


def working(line, threads, parent):
    """Be a process of the pool that runs `fake_run`."""
    pool.run_job = fake_run
    _WORK(line, threads, parent)


_WORK = pool._work


@pytest.fixture
def ran(monkeypatch):
    """Return ``ran(jobs, workers)``: the outcome of every job, and the steps that were told."""
    monkeypatch.setattr(pool, "run_job", fake_run)
    monkeypatch.setattr(pool, "_work", working)

    def run(jobs, workers, unwanted=lambda _: False, step=None):
        outcomes, steps = {}, []
        told = step or (lambda job, *news: steps.append((job.name, *news)))
        run_jobs(jobs, workers, told, lambda job, outcome: outcomes.setdefault(job.name, outcome), unwanted)
        return outcomes, steps

    return run


@pytest.mark.parametrize("workers", [1, 2])
def test_all_jobs_are_done_but_those_that_nobody_wants_any_more(ran, workers):
    jobs = [Job("a"), Job("b", "raise"), Job("c"), Job("d")]
    outcomes, steps = ran(jobs, workers, lambda job: job.name == "c")
    assert sorted(outcomes) == ["a", "b", "d"]
    assert outcomes["a"]["name"] == "a"
    assert (outcomes["a"]["pid"] == os.getpid()) == (workers == 1)
    assert outcomes["b"].message == "ValueError: no"
    assert "fake_run" in outcomes["b"].trace
    assert ("d", 2, 2, "whole") in steps


@pytest.mark.slow
def test_a_process_that_dies_is_replaced(ran):
    outcomes, _ = ran([Job("a", "die"), Job("b"), Job("c"), Job("d", "die"), Job("e")], 2)
    assert {name for name, outcome in outcomes.items() if isinstance(outcome, Failure)} == {"a", "d"}
    assert "the system ended its process" in outcomes["a"].message
    assert {outcomes[name]["name"] for name in "bce"} == set("bce")


@pytest.mark.slow
def test_an_interruption_ends_every_process(ran):
    began = []

    def step(job, _done, _total, text):
        if text == "half":
            began.append(job.name)
            if len(began) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ran([Job("a", "sleep"), Job("b", "sleep"), Job("c", "sleep")], 2, step=step)
    assert sorted(began) == ["a", "b"]


@pytest.mark.slow
def test_what_breaks_in_the_parent_ends_every_process(ran):
    def broken(*_):
        raise RuntimeError("the board is broken")

    with pytest.raises(RuntimeError, match="the board is broken"):
        ran([Job("a", "sleep"), Job("b")], 2, step=broken)

"""Jobs in several processes: all are done, one that fails or dies is told, and the others go on."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch

from dcdp.errors import ConfigError
from dcdp.experiments.pool import Failure, run_all, run_jobs


def act(name, what, report):
    """Be a job."""
    if what == "finish though told to stop":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(1, 2, "half")
    if what == "raise":
        raise ValueError("no")
    if what == "break a rule":
        raise ConfigError("a rule", "nothing", "Obey.")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(600)
    if what == "finish though told to stop":
        time.sleep(1)
    report(2, 2, "whole")
    return {"name": name, "pid": os.getpid(), "threads": torch.get_num_threads()}


def jobs_of(names, **acts):
    return {name: (name, acts.get(name, "work")) for name in names}


def ran(jobs, workers, unwanted=lambda _: False, step=None):
    """Return the outcome of every job, and the steps that were told."""
    outcomes, steps = {}, []
    told = step or (lambda *news: steps.append(news))
    run_jobs(act, jobs, workers, told, outcomes.__setitem__, unwanted)
    return outcomes, steps


@pytest.mark.parametrize("workers", [1, 2])
def test_all_jobs_are_done_but_those_that_nobody_wants_any_more(workers):
    outcomes, steps = ran(jobs_of("abcd", b="raise"), workers, lambda name: name == "c")
    assert sorted(outcomes) == ["a", "b", "d"]
    assert outcomes["a"]["name"] == "a"
    assert (outcomes["a"]["pid"] == os.getpid()) == (workers == 1)
    assert outcomes["b"].message == "ValueError: no"
    assert "in act" in outcomes["b"].trace
    assert ("d", 2, 2, "whole") in steps


@pytest.fixture
def eight_threads():
    """Let torch have eight threads here, whatever the machine has: no job computes anything."""
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize(("left", "workers"), [("a", 2), pytest.param("ab", 4, marks=pytest.mark.slow)])
def test_a_job_has_as_many_threads_when_few_are_left_as_among_many(left, workers):
    outcomes, _ = ran(jobs_of(left), workers)
    assert [outcomes[name]["threads"] for name in left] == [8 // workers] * len(left)
    assert torch.get_num_threads() == 8


@pytest.mark.slow
def test_a_process_that_dies_is_replaced():
    outcomes, _ = ran(jobs_of("abcde", a="die", d="die"), 2)
    assert {name for name, outcome in outcomes.items() if isinstance(outcome, Failure)} == {"a", "d"}
    assert "the system ended its process" in outcomes["a"].message
    assert {outcomes[name]["name"] for name in "bce"} == set("bce")


@pytest.mark.slow
def test_an_interruption_ends_every_process():
    began = []

    def step(name, _done, _total, text):
        if text == "half":
            began.append(name)
            if len(began) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ran(jobs_of("abc", a="sleep", b="sleep", c="sleep"), 2, step=step)
    assert sorted(began) == ["a", "b"]


@pytest.mark.slow
def test_what_finishes_while_the_others_are_stopped_is_told():
    outcomes = {}

    def step(name, _done, _total, text):
        if (name, text) == ("b", "half"):
            os.kill(os.getpid(), signal.SIGTERM)

    jobs = jobs_of("abc", a="sleep", b="finish though told to stop")
    with pytest.raises(KeyboardInterrupt):
        run_jobs(act, jobs, 2, step, outcomes.__setitem__)
    assert list(outcomes) == ["b"]
    assert outcomes["b"]["name"] == "b"


@pytest.mark.slow
def test_what_breaks_in_the_parent_ends_every_process():
    def broken(*_):
        raise RuntimeError("the board is broken")

    with pytest.raises(RuntimeError, match="the board is broken"):
        ran(jobs_of("ab", a="sleep"), 2, step=broken)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_jobs_that_count_together_give_all_results_or_the_first_error(workers):
    steps = []
    found = run_all(act, jobs_of("abc"), workers, {"b": lambda *news: steps.append(news), "c": None})
    assert {name: result["name"] for name, result in found.items()} == {"a": "a", "b": "b", "c": "c"}
    assert list(found) == ["a", "b", "c"]
    assert steps[-1] == (2, 2, "whole")
    with pytest.raises(ConfigError, match="a rule"):
        run_all(act, jobs_of("abc", a="break a rule", b="sleep" if workers > 1 else "work"), workers, {})
    with pytest.raises(RuntimeError, match="ValueError: no") as caught:
        run_all(act, jobs_of("ab", a="raise"), workers, {})
    assert "Traceback" in str(caught.value)

"""Run long jobs side by side, each in a process of its own, and hear how far they are."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from signal import SIGTERM
from typing import Any

import torch

from dcdp.interruption import Interruption

__all__ = ["side_by_side"]

_REPORT_EVERY_S = 0.2

Report = Callable[[int, int, str], None]


def side_by_side(
    work: Callable[..., Any],
    jobs: Mapping[str, tuple[Any, ...]],
    workers: int,
    reporters: Mapping[str, Report | None],
) -> dict[str, Any]:
    """Call ``work(*arguments, report)`` for every job, ``workers`` at a time; return what each gives.

    Parameters
    ----------
    work
        A function of a module, so that another process can find it.
    jobs
        Name -> arguments. They travel to another process: give names and settings, not data.
    workers
        Processes; they share the threads that torch has here.
    reporters
        Name -> what is called as ``report(done, total, text)`` in this process; None says nothing.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM. Every process is told first, and writes its checkpoint.
    Exception
        The first that a job raises; the other jobs are told to stop.
    """
    threads = max(1, torch.get_num_threads() // workers)
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        news = manager.Queue()
        futures = {name: pool.submit(_child, work, name, args, threads, news) for name, args in jobs.items()}
        with Interruption() as interruption:
            pids: set[int] = set()
            while not all(future.done() for future in futures.values()):
                _hear(news, pids, reporters)
                if interruption.asked or _failure(futures):
                    _stop(futures, pids)
                    break
        if interruption.asked:
            raise KeyboardInterrupt
        if failure := _failure(futures):
            raise failure
        return {name: future.result() for name, future in futures.items()}


def _child(work: Callable[..., Any], name: str, arguments: tuple[Any, ...], threads: int, news: Any) -> Any:
    torch.set_num_threads(threads)
    pid = os.getpid()
    news.put((name, pid))
    told_at = 0.0

    def report(done: int, total: int, text: str) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _REPORT_EVERY_S or done == total:
            news.put((name, pid, done, total, text))
            told_at = time.monotonic()

    return work(*arguments, report)


def _hear(news: Any, pids: set[int], reporters: Mapping[str, Report | None]) -> None:
    """Pass on what the processes say, for a moment."""
    try:
        name, pid, *step = news.get(timeout=0.2)
    except queue.Empty:
        return
    pids.add(pid)
    report = reporters.get(name)
    if step and report is not None:
        report(*step)


def _failure(futures: Mapping[str, Future[Any]]) -> BaseException | None:
    return next((future.exception() for future in futures.values() if future.done() and future.exception()), None)


def _stop(futures: Mapping[str, Future[Any]], pids: set[int]) -> None:
    for future in futures.values():
        future.cancel()
    for pid in pids:
        os.kill(pid, SIGTERM)

"""Put the verbs together and turn whatever they raise into one plain line and an exit code.

Exit codes: 0 if all was done and written, 2 if the input was refused, 130 if interrupted.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from dcdp import __version__
from dcdp.allocator import keep_freed_memory
from dcdp.cli import (
    ablate,
    benchmark,
    compare,
    data,
    data_check,
    data_describe,
    data_fetch,
    data_show,
    demo,
    evaluate,
    features,
    info,
    predict,
    report,
    robustness,
    train,
    tune,
)
from dcdp.errors import DcdpError

__all__ = ["main"]

REFUSED = 2
INTERRUPTED = 130

# GNU OpenMP, which torch computes with on Linux, reads these once, when it is loaded. By default a thread that waits
# for another turns round and round instead of sleeping: beside other busy processes, which then lack that core,
# training on two cores takes several times as long.
_SPINS = "GOMP_SPINCOUNT"
_WAIT_POLICY = "OMP_WAIT_POLICY"

_app = App(
    name="dcdp",
    help="Multimodal human-activity recognition that uses every sensor.",
    help_format="plaintext",
    version=__version__,
    suppress_keyboard_interrupt=False,  # main() answers it, with the way to go on
)
_app.command(demo.demo)
_app.command(train.train)
_app.command(evaluate.evaluate)
_app.command(compare.compare)
_app.command(benchmark.benchmark)
_app.command(ablate.ablate)
_app.command(robustness.robustness)
_app.command(tune.tune)
_app.command(predict.predict)
_app.command(report.report)
_app.command(info.info)
_app.command(features.features)
_data = App(name="data", help="List, describe and check the data sets.")
_data.command(data.list_all, name="list")
_data.command(data.info)
_data.command(data_check.check)
_data.command(data_describe.describe)
_data.command(data_fetch.fetch)
_data.command(data_show.show)
_data.command(data_show.readers)
_app.command(_data)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv
        Words behind ``dcdp``; those of the process if None.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if _WAIT_POLICY not in os.environ:
        os.environ.setdefault(_SPINS, "1000")
    keep_freed_memory()
    try:
        _app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as err:
        return _refuse(" ".join(str(err).split()) + " See dcdp --help.")
    except DcdpError as err:
        return _refuse(str(err))
    except KeyboardInterrupt:
        return _interrupted(words)
    except BrokenPipeError:
        # the reader has gone (`dcdp data list | head`); nothing is left to say, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as err:
        return _refuse(f"the system must allow it: got {err.strerror or err} for '{err.filename}'. Check the path.")
    return 0


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  plain text, so that it can be searched for and quoted
    return REFUSED


def _interrupted(words: list[str]) -> int:
    again = [word for word in words if word not in ("--force", "--resume")]
    if words[:1] == ["train"]:
        again.append("--resume")
    print(f"\ninterrupted. Go on with: {shlex.join(['dcdp', *again])}", file=sys.stderr)  # noqa: T201
    return INTERRUPTED

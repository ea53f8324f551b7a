"""Compare the forest on base and on extended statistics, on validation subjects alone (the folds of choose.py).

    python studies/features.py hapt --out results/features.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from choose import folds_of

from dcdp.config import default_config
from dcdp.experiments.peers import score_peer
from dcdp.experiments.source import load
from dcdp.models.network import branches_by, lay_out
from dcdp.models.peers.forest import FOREST_INPUTS
from dcdp.signals.windows import cut_windows
from dcdp.splits import drop_copies


def main() -> None:
    """Print and keep macro-F1 of the validation subjects for each input and fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--folds", help="arena folds such as 1,4,7, which they are where there is no official split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/features.jsonl"))
    options = parser.parse_args()
    source = load(options.data)
    config = default_config(options.data).windows
    layouts = lay_out(source.spec, branches_by(source.spec, "set", source.branches), config.window_s)
    everything = cut_windows(source.store, config)
    for split in folds_of(source, options.folds):
        windows, _ = drop_copies(everything, split, source.store)
        parts = split.parts(windows)
        train, held = windows.take(parts["train"]), windows.take(parts["validation"])
        for name in FOREST_INPUTS:
            result = score_peer(name, source.store, layouts, train, held, options.seed)
            facts = {"data": options.data, "peer": name, "fold": "+".join(split.validation), "seed": options.seed}
            facts |= {"macro_f1": result["scores"]["macro_f1"]["mean"], "seconds": round(result["seconds"], 1)}
            print(json.dumps(facts), flush=True)
            with options.out.open("a") as file:
                file.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()

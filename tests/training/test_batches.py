"""Windows as the branches of a network see them, against slow stacking."""

from __future__ import annotations

import numpy as np
import torch

from dcdp.batches import Batches


def stack_slowly(batches, window):
    """Return branch -> (C, T) of one window, signal by signal and channel by channel."""
    windows, store, out = batches.windows, batches.store, {}
    for layout in batches.layouts:
        rows = []
        for name in layout.branch.signals:
            first = windows.rows[name][window]
            there = windows.present[window, store.spec.names.index(name)]
            for channel in range(len(store.spec[name].channels)):
                values = store.array(name)[first : first + layout.n_samples, channel]
                rows.append(values if there else np.full(layout.n_samples, np.nan, np.float32))
        out[layout.branch.name] = np.stack(rows)
    return out


def test_gathering_is_slow_stacking(every_window):
    index = np.random.default_rng(0).permutation(len(every_window))[:40]
    batch = every_window.gather(index)
    assert len(batch) == 40
    for place, window in enumerate(index):
        expected = stack_slowly(every_window, window)
        assert list(batch.inputs) == list(expected)
        for name, values in expected.items():
            assert batch.inputs[name].dtype == torch.float32
            np.testing.assert_array_equal(batch.inputs[name][place].numpy(), values)
    assert batch.label.tolist() == every_window.windows.label[index].tolist()


def test_a_branch_is_there_with_any_of_its_signals_and_the_others_are_nan(every_window):
    subject = every_window.windows.subject
    expected = {"s0": [True, True, True], "s1": [True, True, True], "s2": [False, False, True]}
    assert every_window.present.tolist() == [expected[name] for name in subject]
    batch = every_window.gather(np.arange(len(every_window)))
    assert batch.present.tolist() == every_window.present.tolist()
    half = batch.inputs["wrist"][torch.from_numpy(subject == "s1")]
    assert half[:, :3].isfinite().all()
    assert half[:, 3:].isnan().all()


def test_usable_leaves_out_windows_in_which_no_branch_is_there(every_window):
    without_hr = Batches(every_window.store, every_window.windows, every_window.layouts[:2])
    usable = without_hr.usable()
    assert set(usable.windows.subject) == {"s0", "s1"}
    assert len(usable) == np.isin(every_window.windows.subject, ["s0", "s1"]).sum()
    assert usable.present.any(1).all()
    assert usable.usable() is usable
    assert every_window.usable() is every_window


def test_a_part_of_a_batch_is_its_windows(every_window):
    batch = every_window.gather(np.arange(20, 30))
    part = batch.part(3, 7)
    expected = every_window.gather(np.arange(23, 27))
    assert len(part) == 4
    assert torch.equal(part.label, expected.label)
    assert torch.equal(part.present, expected.present)
    assert all(torch.equal(part.inputs[name], x) for name, x in expected.inputs.items())

"""A run over a split by session: trained, scored, told, and evaluated again from its folder."""

import json
from dataclasses import replace

import pytest

from dcdp.errors import BundleError
from dcdp.experiments import finished_run, run
from dcdp.experiments.finished_run import evaluate_run
from dcdp.experiments.run import train_run
from dcdp.experiments.run_folder import RunRequest
from dcdp.experiments.source import load


@pytest.fixture(scope="module")
def sessions():
    """Everyone's first session trains and validates; the second ones of two people are tested."""
    source = load("synthetic", body=_body())
    visits = {who: sorted({e.session for e in source.store.recordings if e.subject == who}) for who in source.subjects}
    one, two, three, four = source.subjects
    assert all(len(own) == 2 for own in visits.values())
    return {
        "train": tuple((who, visits[who][0]) for who in (one, two, three)),
        "validation": ((four, visits[four][0]),),
        "test": tuple((who, visits[who][1]) for who in (one, two)),
    }


def _body():
    from dcdp.data.synthetic import BodyConfig

    return BodyConfig(
        n_subjects=4, minutes_per_subject=5, recordings_per_subject=2, placements=("wrist",), modalities=("acc", "gyr")
    )


@pytest.fixture(scope="module")
def by_session(tmp_path_factory, make_config, sessions):
    """Return the folder and the result of a run over a split by session."""
    out = tmp_path_factory.mktemp("runs") / "by_session"
    config = replace(make_config(epochs=1), body=_body())
    with pytest.MonkeyPatch.context() as patch:
        _declare(patch, sessions)
        result = train_run(RunRequest("synthetic", out, split="official"), config)
    return out, result


def _declare(patch, sessions):
    for module in (run, finished_run):
        patch.setattr(module, "load", lambda *a, **k: replace(load(*a, **k), official=sessions))


def test_the_result_names_sessions_and_shared_people(by_session, sessions):
    out, result = by_session
    stored = json.loads((out / "result.json").read_text())
    (fold,) = stored["split"]["folds"]
    assert {part: tuple(map(tuple, pairs)) for part, pairs in fold["sessions"].items()} == sessions
    audit = stored["leak_audit"]["folds"]["official"]
    assert (audit["by"], audit["people_never_seen"], audit["passed"]) == ("session", False, True)
    assert audit["shared_people"] == [who for who, _ in sessions["test"]]
    assert set(result["test"]["macro_f1"]["by_subject"]) == set(fold["test"])


def test_the_report_does_not_claim_new_people(by_session, finished):
    page, usual = (folder.joinpath("report.html").read_text() for folder, _ in (by_session, finished))
    for text in ("none of them seen in training", "no person and no sample", "someone it has never met"):
        assert text in usual
        assert text not in page
    assert "do not tell about new people" in page


def test_its_figures_are_found_again_from_the_folder(by_session):
    out, result = by_session
    assert evaluate_run(out)["test"]["macro_f1"] == result["test"]["macro_f1"]


def test_a_model_that_knows_its_test_session_is_refused(by_session, tmp_path, sessions):
    import shutil

    out = shutil.copytree(by_session[0], tmp_path / "copy")
    result = json.loads((out / "result.json").read_text())
    (fold,) = result["split"]["folds"]
    fold["sessions"]["train"], fold["sessions"]["test"] = fold["sessions"]["test"], fold["sessions"]["train"][:2]
    fold["train"] = fold["test"]
    (out / "result.json").write_text(json.dumps(result))
    who, session = sessions["train"][0]
    with pytest.raises(BundleError, match=rf"tested on new sessions: got \['{who} {session}'"):
        evaluate_run(out)

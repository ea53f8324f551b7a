"""Splits hold subjects apart whatever the subjects are, and the audit finds what slipped through."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data.store import Store, memory_store
from dcdp.errors import ConfigError, DataError, SplitError
from dcdp.records import LabelSet, Recording, Segment, Signal, SignalSpec, Track
from dcdp.signals import WindowConfig, cut_windows
from dcdp.splits import (
    Split,
    arena,
    drop_copies,
    group_k_fold,
    hold_out,
    leak_audit,
    leave_one_subject_out,
    list_splits,
    make_folds,
    official,
    require_classes,
    require_no_leak,
    select_folds,
    split_name,
)

people = st.sets(st.text("abs01 29_", min_size=1, max_size=4), min_size=3, max_size=35)
ACC = Signal("hip_acc", "acc", "hip", 20.0, ("x", "y", "z"), "m/s2")
HEART = Signal("chest_hr", "hr", "chest", 1.0, ("hr",), "bpm")
LABELS = LabelSet(("walk", "run"))
CONFIG = WindowConfig(2.0, 1.0)


def noise(seed: int, n_rows: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_rows, 3)).astype(np.float32)


def recording(name: str, subject: str, values: np.ndarray, label: str = "walk", session: str = "1") -> Recording:
    pulse = np.full((len(values) // 20, 1), 80.0, np.float32)  # the same in all, as pulses are
    segments = (Segment(0.0, len(values) / 20, label),)
    return Recording(name, subject, session, (Track(ACC, values), Track(HEART, pulse)), segments)


def store_of(*recordings: Recording) -> Store:
    return memory_store(SignalSpec((HEART, ACC)), LABELS, recordings)


def people_store(*subjects: str) -> Store:
    return store_of(*(recording(f"walk of {name}", name, noise(seed)) for seed, name in enumerate(subjects)))


ABC = Split("hold_out", "c", ("a",), ("b",), ("c",))


# Any subjects


def all_folds(subjects: set[str], k: int) -> dict[str, tuple[Split, ...]]:
    return {
        "arena": arena(subjects),
        "leave_one_subject_out": leave_one_subject_out(subjects),
        "group_k_fold": group_k_fold(subjects, max(k, 3) if len(subjects) < 5 else k),
    }


@given(people, st.integers(2, 3))
def test_each_subject_is_tested_once(subjects: set[str], k: int) -> None:
    for folds in all_folds(subjects, k).values():
        tested = Counter(name for fold in folds for name in fold.test)
        assert tested == Counter(subjects)


@given(people, st.integers(2, 3))
def test_parts_are_disjoint_and_leave_no_one_out(subjects: set[str], k: int) -> None:
    for name, folds in all_folds(subjects, k).items():
        for fold in folds:
            assert Counter((*fold.train, *fold.validation, *fold.test)) == Counter(subjects)
            assert fold.name == name
            assert fold.fold == "+".join(fold.test)


def test_a_number_in_the_name_counts_the_groups() -> None:
    folds = make_folds("kfold2", "abcdef")
    assert [fold.fold for fold in folds] == ["a+c+e", "b+d+f"]
    assert {fold.name for fold in folds} == {split_name("kfold2")} == {"group_2_fold"}
    assert make_folds("group_2_fold", "abcdef") == folds
    with pytest.raises(ConfigError, match="from 2 to the 6 subjects"):
        make_folds("kfold7", "abcdef")


@given(people, st.randoms())
def test_the_order_of_the_subjects_does_not_matter(subjects: set[str], random: object) -> None:
    shuffled = sorted(subjects)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in ("arena", "loso", f"kfold{min(5, len(subjects))}"):
        assert make_folds(name, shuffled) == make_folds(name, sorted(subjects))


@given(people, st.data())
def test_held_out_subjects_are_only_tested(subjects: set[str], data: st.DataObject) -> None:
    test = data.draw(st.lists(st.sampled_from(sorted(subjects)), min_size=1, max_size=len(subjects) - 2, unique=True))
    (fold,) = hold_out(subjects, test)
    assert fold.test == tuple(test)
    assert set(fold.train) | set(fold.validation) == subjects - set(test)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.sampled_from(["arena", "loso", "kfold3"]))
def test_no_sample_is_in_two_parts(n_subjects: int, name: str) -> None:
    store = people_store(*(f"s{number}" for number in range(n_subjects)))
    windows = cut_windows(store, CONFIG)
    for fold in make_folds(name, store.subjects):
        parts = fold.parts(windows)
        assert sorted(np.concatenate(list(parts.values()))) == list(range(len(windows)))
        seen = [
            {row + step for row in windows.rows["hip_acc"][index] for step in range(ACC.n_samples(2.0))}
            for index in parts.values()
        ]
        assert sum(map(len, seen)) == len(set.union(*seen))
        assert leak_audit(windows, fold, store)["passed"]


# Each rule


def test_arena_deals_into_ten_groups_and_validates_on_the_next() -> None:
    folds = arena(str(number) for number in range(1, 31))
    assert [fold.fold for fold in folds][:2] == ["1+11+21", "2+12+22"]
    assert folds[0].validation == ("2", "12", "22")
    assert folds[9].test == ("10", "20", "30")
    assert folds[9].validation == ("1", "11", "21")
    assert len(folds) == 10


def test_arena_leaves_one_out_where_there_are_few() -> None:
    folds = arena(["p1", "p2", "p10"])
    assert folds == (
        Split("arena", "p1", ("p10",), ("p2",), ("p1",)),
        Split("arena", "p2", ("p1",), ("p10",), ("p2",)),
        Split("arena", "p10", ("p2",), ("p1",), ("p10",)),
    )


def test_leave_one_out_validates_on_the_following() -> None:
    folds = leave_one_subject_out(f"{number:02d}" for number in range(1, 15))
    assert folds[0].validation == ("02", "03")  # 15 % of 13
    assert folds[13].validation == ("01", "02")
    assert leave_one_subject_out("abcd", n_validation=1)[3].validation == ("a",)


@pytest.mark.parametrize("count", [0, 3])
def test_validation_must_leave_someone_to_train(count: int) -> None:
    with pytest.raises(ConfigError, match=f"n_validation must be from 1 to 2: got {count}"):
        leave_one_subject_out("abcd", n_validation=count)


@pytest.mark.parametrize(("k", "says"), [(1, "k must be from 2 to the 3"), (4, "got 4"), (2, "must leave two")])
def test_k_must_fit(k: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        group_k_fold("abc", k)


def test_hold_out_names_its_parts() -> None:
    assert hold_out("abcde", ["e"], ["a", "b"]) == (Split("hold_out", "e", ("c", "d"), ("a", "b"), ("e",)),)
    assert hold_out("abcdefghijk", ["k"])[0].validation == ("c", "h")  # every fifth of ten


def test_hold_out_refuses_what_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="Did you mean 's02'"):
        hold_out(["s01", "s02", "s03"], ["s02", "s002"])
    with pytest.raises(ConfigError, match="Did you mean 's01'"):
        hold_out(["s01", "s02", "s03"], ["s02"], ["so1"])
    with pytest.raises(ConfigError, match="hold_out must name its test subjects"):
        hold_out("abc", [])
    with pytest.raises(SplitError, match="validation and test must not share a subject: got a in both"):
        hold_out("abc", ["a"], ["a"])
    with pytest.raises(DataError, match="two subjects must remain to train and validate: got 1"):
        hold_out("abc", ["a", "b"])
    with pytest.raises(DataError, match="a subject must be left to train"):
        hold_out("abc", ["a", "b"], ["c"])


def test_official_validates_on_every_fifth_training_subject() -> None:
    people = [str(number) for number in range(1, 31)]
    (fold,) = official(people, {"train": people[:21], "test": people[21:]})
    assert fold.fold == "official"
    assert fold.validation == ("3", "8", "14", "19")
    assert set(fold.train) == set(people[:21]) - set(fold.validation)
    assert fold.test == tuple(people[21:])


def test_official_keeps_the_published_validation() -> None:
    (fold,) = official("abcd", {"train": ["a", "b"], "validation": ["c"], "test": ["d"]})
    assert fold == Split("official", "official", ("a", "b"), ("c",), ("d",))
    with pytest.raises(SplitError, match="train and test must not share"):
        official("abcd", {"train": ["a", "b"], "validation": ["c"], "test": ["b"]})


@pytest.mark.parametrize("name", ["arena", "loso", "group_k_fold", "hold_out", "official"])
def test_two_subjects_are_too_few(name: str) -> None:
    with pytest.raises(DataError, match=r"must have three subjects, .*: got 1 \(only\).*other subjects"):
        make_folds(name, ["only"], official={"train": ["only"], "test": []}, test=["only"])


def test_every_listed_split_is_made() -> None:
    assert list_splits() == tuple(sorted(list_splits()))
    for name in list_splits():
        folds = make_folds(name, "abcdef", official={"train": list("abcd"), "test": ["e", "f"]}, test=["a"])
        assert {fold.name for fold in folds} == {name}


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'arena'"):
        make_folds("arean", "abc")
    with pytest.raises(ConfigError, match="must have an official split"):
        make_folds("official", "abc")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((("a", "b"), ("b",), ("c",)), "train and validation must not share a subject: got b"),
        ((("a",), ("b",), ("c", "a")), "train and test must not share a subject: got a"),
        ((("a",), (), ("c",)), "validation must name subjects"),
        ((("a", "a"), ("b",), ("c",)), "train must name subjects, each once"),
    ],
)
def test_a_bad_split_cannot_be_made(parts: tuple[tuple[str, ...], ...], says: str) -> None:
    with pytest.raises(SplitError, match=says):
        Split("hold_out", "x", *parts)


# Picking folds


@pytest.mark.parametrize(
    ("which", "picked"),
    [
        (None, list(range(10))),
        ("1,4", [0, 3]),
        ("4, 1,4", [0, 3]),
        ("9,2", [1, 8]),
        ("21", [0]),
        ("1+11+21", [0]),
        ("10", [9]),
    ],
)
def test_folds_are_picked_by_number_name_or_subject(which: str | None, picked: list[int]) -> None:
    folds = arena(str(number) for number in range(1, 31))
    assert select_folds(folds, which) == tuple(folds[number] for number in picked)


def test_an_unknown_fold_is_refused() -> None:
    folds = arena(["anna", "bert", "cleo"])
    with pytest.raises(ConfigError, match=r"fold must be one of 1, 2, 3, anna, bert, cleo: got 'brt'.*'bert'"):
        select_folds(folds, "anna,brt")
    with pytest.raises(ConfigError, match="got '4'"):
        select_folds(folds, "4")
    with pytest.raises(ConfigError, match="folds must be named"):
        select_folds(folds, " , ")


# The audit


def audit_of(store: Store, split: Split = ABC) -> dict[str, object]:
    return leak_audit(cut_windows(store, CONFIG), split, store)


def test_a_clean_split_passes_and_is_written_as_json() -> None:
    audit = audit_of(people_store("a", "b", "c"))
    assert json.loads(json.dumps(audit)) == {
        "n_windows": {"train": 9, "validation": 9, "test": 9},
        "n_subjects": {"train": 1, "validation": 1, "test": 1},
        "n_recordings": {"train": 1, "validation": 1, "test": 1},
        "shared_subjects": 0,
        "shared_recordings": 0,
        "shared_samples": 0,
        "identical_windows": 0,
        "identical_examples": [],
        "compared_windows": 27,
        "absent_classes": [],
        "passed": True,
    }
    require_no_leak(audit)
    require_classes(audit)


@pytest.mark.parametrize("shift", [0, 1, 7, 40])
def test_a_recording_under_two_subjects_is_found_at_any_offset(shift: int) -> None:
    store = store_of(
        recording("walk a", "a", noise(1)),
        recording("walk b", "b", noise(2)),
        recording("copy", "c", np.concatenate([noise(3, shift), noise(1)])),
    )
    audit = audit_of(store)
    assert not audit["passed"]
    # Every window of a lies somewhere in the copy; of the copy, those that begin behind the shift.
    assert audit["identical_windows"] == 9 + len([row for row in range(0, 161 + shift, 20) if row >= shift])
    assert audit["shared_subjects"] == audit["shared_samples"] == 0
    with pytest.raises(SplitError, match=r"identical windows \(such as train 'walk a' at 0 s, also in test 'copy'\)"):
        require_no_leak(audit)


def test_a_copied_stretch_is_found_where_it_is() -> None:
    patched = noise(3)
    patched[63:123] = noise(1)[40:100]  # rows 40 to 100 of a hold the windows at 2 and 3 s
    store = store_of(recording("a", "a", noise(1)), recording("b", "b", noise(2)), recording("c", "c", patched))
    audit = audit_of(store)
    assert audit["identical_examples"][:2] == [  # type: ignore[index]
        "train 'a' at 2 s, also in test 'c'",
        "train 'a' at 3 s, also in test 'c'",
    ]


@pytest.mark.parametrize(
    ("held_out", "dropped"), [("abc", ("in a",)), ("cba", ("in c",)), ("acb", ("in a",)), ("bac", ("in a",))]
)
def test_of_two_copies_the_one_seen_first_is_dropped(held_out: str, dropped: tuple[str, ...]) -> None:
    copied = noise(1)
    store = store_of(
        recording("of a", "a", noise(4)), recording("in a", "a", copied),
        recording("b", "b", noise(2)),
        recording("of c", "c", noise(5)), recording("in c", "c", np.concatenate([noise(3, 7), copied])),
    )  # fmt: skip
    train, validation, test = held_out
    split = Split("hold_out", test, (train,), (validation,), (test,))
    windows = cut_windows(store, CONFIG)
    assert not leak_audit(windows, split, store)["passed"]
    kept, names = drop_copies(windows, split, store)
    assert names == dropped
    assert leak_audit(kept, split, store)["passed"]
    assert len(kept) == sum(store.recordings[number].name not in names for number in windows.recording)


def test_a_stretch_that_holds_no_window_of_its_own_part_is_dropped() -> None:
    patched = noise(3)
    patched[63:113] = noise(1)[40:90]  # rows 40 to 80 are a window of c; none of a's windows lies in rows 63 to 113
    store = store_of(recording("a", "a", patched), recording("b", "b", noise(2)), recording("c", "c", noise(1)))
    assert drop_copies(cut_windows(store, CONFIG), ABC, store)[1] == ("a",)


def test_without_copies_all_is_kept() -> None:
    store = people_store("a", "b", "c")
    windows = cut_windows(store, CONFIG)
    kept, names = drop_copies(windows, ABC, store)
    assert names == ()
    assert len(kept) == len(windows)


def test_a_copy_within_one_part_is_no_leak() -> None:
    store = store_of(
        *(recording(name, "a", noise(1)) for name in ("once", "twice")),
        recording("b", "b", noise(2)),
        recording("c", "c", noise(3)),
    )
    assert audit_of(store)["passed"]


def test_flat_signals_are_not_called_identical() -> None:
    still = np.tile(np.float32([0.0, 0.0, 9.8]), (200, 1))
    store = store_of(recording("a", "a", still), recording("b", "b", noise(2)), recording("c", "c", still))
    audit = audit_of(store)
    assert audit["passed"]
    assert audit["compared_windows"] == 9


def test_one_changed_number_is_another_window() -> None:
    values = noise(1)
    values[::20, 1] += 1e-3  # in every window
    store = store_of(recording("a", "a", noise(1)), recording("b", "b", noise(2)), recording("c", "c", values))
    assert audit_of(store)["identical_windows"] == 0


def test_windows_under_a_false_subject_are_found() -> None:
    store = people_store("a", "b", "c")
    windows = cut_windows(store, CONFIG)
    subject = windows.subject.copy()
    subject[4] = "c"  # a window in the middle of a's recording
    audit = leak_audit(replace(windows, subject=subject), ABC, store)
    assert audit["shared_subjects"] == audit["shared_recordings"] == 1
    assert audit["shared_samples"] == 2 * (20 + 1)  # both halves of the window, in both signals
    with pytest.raises(SplitError, match="1 shared subjects, 1 shared recordings, 42 shared samples"):
        require_no_leak(audit)


def test_a_part_without_windows_fails() -> None:
    store = store_of(
        recording("a", "a", noise(1)), recording("b", "b", noise(2)), recording("brief", "c", noise(3, 30))
    )
    with pytest.raises(SplitError, match="got no windows in test"):
        require_no_leak(audit_of(store))


def test_a_class_that_is_only_tested_is_refused() -> None:
    store = store_of(
        recording("a", "a", noise(1)), recording("b", "b", noise(2), "run"), recording("c", "c", noise(3), "run")
    )
    audit = audit_of(store)
    assert audit["absent_classes"] == ["run"]
    assert audit["passed"]  # no leak, but nothing to learn it from
    with pytest.raises(DataError, match="every tested class must occur in training: got run absent"):
        require_classes(audit)


# Published splits by session


SESSIONS = {"train": (("a", "1"), ("b", "1")), "validation": (("b", "2"),), "test": (("a", "2"), ("c", "1"))}


def session_store(*left_out: tuple[str, str]) -> Store:
    visits = [(subject, session) for subject in "abc" for session in "12" if (subject, session) not in left_out]
    return store_of(
        *(recording(f"{who} {visit}", who, noise(seed), session=visit) for seed, (who, visit) in enumerate(visits))
    )


def test_an_official_split_may_be_by_session() -> None:
    store = session_store()
    windows = cut_windows(store, CONFIG)
    (fold,) = make_folds("official", store.subjects, official=SESSIONS)
    assert (fold.train, fold.validation, fold.test) == (("a", "b"), ("b",), ("a", "c"))
    names = {
        part: {store.recordings[number].name for number in windows.recording[index]}
        for part, index in fold.parts(windows).items()
    }
    assert names == {"train": {"a 1", "b 1"}, "validation": {"b 2"}, "test": {"a 2", "c 1"}}
    shuffled = windows.take(np.arange(len(windows))[::-1])
    assert {part: len(index) for part, index in fold.parts(shuffled).items()} == {
        "train": 18, "validation": 9, "test": 18,
    }  # fmt: skip


def test_the_audit_says_who_is_shared_by_a_split_by_session() -> None:
    store = session_store()
    (fold,) = official(store.subjects, SESSIONS)
    audit = leak_audit(cut_windows(store, CONFIG), fold, store)
    told = ("by", "shared_people", "people_never_seen", "shared_subjects", "shared_sessions", "missing_sessions")
    assert [audit[key] for key in told] == ["session", ["a", "b"], False, 2, 0, []]
    assert audit["passed"]
    require_no_leak(audit)
    assert json.loads(json.dumps(audit)) == audit


def test_the_audit_names_sessions_that_are_not_there() -> None:
    store = session_store(("a", "2"))
    (fold,) = official(store.subjects, SESSIONS)
    assert leak_audit(cut_windows(store, CONFIG), fold, store)["missing_sessions"] == ["a 2"]


def test_a_split_by_session_whose_tested_people_are_new_says_so() -> None:
    store = session_store()
    (fold,) = official(store.subjects, {**SESSIONS, "test": (("c", "1"),)})
    audit = leak_audit(cut_windows(store, CONFIG), fold, store)
    assert audit["people_never_seen"]
    assert audit["shared_people"] == ["b"]


def test_windows_under_a_false_session_are_found() -> None:
    store = session_store()
    windows = cut_windows(store, CONFIG)
    (fold,) = official(store.subjects, SESSIONS)
    session = windows.session.copy()
    session[4] = "2"  # a window in the middle of a's first session
    audit = leak_audit(replace(windows, session=session), fold, store)
    assert audit["shared_sessions"] == audit["shared_recordings"] == 1
    with pytest.raises(SplitError, match="got 1 shared sessions, 1 shared recordings, 42 shared samples"):
        require_no_leak(audit)


def test_a_session_stored_twice_is_a_leak_in_a_split_by_session_too() -> None:
    visits = ((1, "a", "1"), (2, "b", "1"), (3, "b", "2"), (1, "a", "2"), (5, "c", "1"))
    store = store_of(*(recording(f"{who} {visit}", who, noise(seed), session=visit) for seed, who, visit in visits))
    (fold,) = official(store.subjects, SESSIONS)
    windows = cut_windows(store, CONFIG)
    assert not leak_audit(windows, fold, store)["passed"]
    assert drop_copies(windows, fold, store)[1] == ("a 1",)


def test_windows_that_do_not_know_their_session_are_refused() -> None:
    store = session_store()
    (fold,) = official(store.subjects, SESSIONS)
    with pytest.raises(SplitError, match="must know their session"):
        fold.parts(replace(cut_windows(store, CONFIG), session=None))


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("hold_out", {}, "only an official split may be by session: got 'hold_out'"),
        ("official", {"test": (("a", "1"), ("c", "1"))}, "train and test must not share a session: got a 1 in both"),
        ("official", {"test": (("a", "2"), ("a", "2"), ("c", "1"))}, "test must name .* each once: got"),
        ("official", {"test": (("a", "2"),)}, "test must name sessions of its subjects"),
        ("official", {"train": (("a", "1"), ("b", "1"), ("c", "2"))}, "train must name sessions of its subjects"),
        ("official", {"validation": None}, "sessions must be given for train, validation, test: got train, test"),
    ],
)
def test_a_bad_split_by_session_cannot_be_made(name: str, changes: dict[str, object], says: str) -> None:
    sessions = {part: pairs for part, pairs in {**SESSIONS, **changes}.items() if pairs is not None}
    with pytest.raises(SplitError, match=says):
        Split(name, "official", ("a", "b"), ("b",), ("a", "c"), sessions)  # type: ignore[arg-type]


def test_an_official_split_by_session_names_everything() -> None:
    with pytest.raises(ConfigError, match="must name validating sessions"):
        official("abc", {"train": SESSIONS["train"], "test": SESSIONS["test"]})
    with pytest.raises(ConfigError, match="must name subjects or sessions: got both"):
        official("abc", {**SESSIONS, "test": ("c",)})
    with pytest.raises(ConfigError, match="subject must be one of a, b, c: got 'd'"):
        official("abc", {**SESSIONS, "test": (("d", "1"),)})


@pytest.mark.parametrize("fold", [ABC, official("abc", SESSIONS)[0]])
def test_a_split_survives_its_result_file(fold: Split) -> None:
    assert Split.from_facts(fold.name, json.loads(json.dumps(fold.facts()))) == fold
    assert ("sessions" in fold.facts()) == (fold.sessions is not None)
    assert isinstance(hash(fold), int)


def test_only_a_split_by_session_shares_people() -> None:
    assert ABC.shared_people == ()
    assert official("abc", SESSIONS)[0].shared_people == ("a", "b")

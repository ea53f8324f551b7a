"""Made-up files of PAMAP2, OPPORTUNITY, MHEALTH and HuGaDB, in the documented formats; all but HuGaDB are whole."""

import numpy as np

PAMAP2_ACTIVITIES = (1, 2, 3, 17, 16, 12, 13, 4, 7, 6, 5, 24)
LOCOMOTION = (1, 2, 4, 5)
GESTURES = (406516, 406517, 404516, 404517, 406520, 404520, 406505, 404505, 406519, 404519, 406511, 404511, 406508,
            404508, 408512, 407521, 405506)  # fmt: skip


def text_of(values, separator, form):
    """Return rows of numbers as text; NaN is written as the sets write it."""
    rows = (separator.join("NaN" if np.isnan(value) else form % value for value in row) for row in values)
    return ("\n".join(rows) + "\n").encode()


def pamap2_table(subject):
    """Return the numbers of one file: 10 ms apart, a heart rate now and then, one lost packet, all activities."""
    rng = np.random.default_rng(subject)
    activities = (24,) if subject == 109 else PAMAP2_ACTIVITIES
    codes = np.concatenate([[0] * 4, *([code] * 10 + [0] * 2 for code in activities)])
    table = rng.normal(size=(len(codes), 54))
    table[:, 0], table[:, 1], table[:, 2] = 8.38 + 0.01 * np.arange(len(codes)), codes, np.nan
    table[3::11, 2] = 100 + np.arange(len(table[3::11]))
    table[5, 20:37] = np.nan  # a packet of the chest unit
    return table


def _pamap2():
    root = "PAMAP2_Dataset/"
    tree = {f"{root}Protocol/subject{number}.dat": text_of(pamap2_table(number), " ", "%.5g")
            for number in range(101, 110)}  # fmt: skip
    tree[root + "Optional/subject101.dat"] = b"not read"
    tree[root + "readme.pdf"] = b"not read"
    return tree


def opportunity_table(subject, session):
    """Return the numbers of one file: whole milliseconds at 30 Hz, all labels, one sensor that was never heard."""
    rng = np.random.default_rng([subject, len(session)])
    locomotion = np.repeat([0, *LOCOMOTION], 9)
    table = rng.integers(-1000, 1000, (len(locomotion), 250)).astype(float)
    table[:, 0] = np.round(np.arange(len(table)) / 30 * 1000)
    table[:, 243], table[:, 244:249] = locomotion, 0
    table[:, 249] = np.resize(np.repeat([0, *GESTURES], 2), len(table))
    table[10:14, 1:4] = np.nan
    if (subject, session) == (2, "ADL4"):
        table[:, 34:37] = np.nan  # the right hand
    return table


def _opportunity():
    root = "OpportunityUCIDataset/"
    tree = {
        f"{root}dataset/S{subject}-{session}.dat": text_of(opportunity_table(subject, session), " ", "%d")
        for subject in range(1, 5)
        for session in ("ADL1", "ADL2", "ADL3", "ADL4", "ADL5", "Drill")
    }
    tree[root + "dataset/column_names.txt"] = b"not read"
    return tree


def mhealth_table(subject):
    """Return the numbers of one file: all labels in turn, the null class between."""
    labels = np.concatenate([[0] * 5, *([label] * 8 + [0] for label in range(1, 13))])
    values = np.random.default_rng(subject).normal(size=(len(labels), 23))
    return np.column_stack([values, labels])


def _mhealth():
    tree = {f"MHEALTHDATASET/mHealth_subject{number}.log": text_of(mhealth_table(number), "\t", "%.5g")
            for number in range(1, 11)}  # fmt: skip
    tree["MHEALTHDATASET/README.txt"] = b"not read"
    return tree


def hugadb_table(seed, *activities):
    """Return the numbers of one file: 30 rows of each activity."""
    rng = np.random.default_rng(seed)
    n_rows = 30 * len(activities)
    return np.column_stack(
        [rng.integers(-32768, 32768, (n_rows, 36)), rng.integers(0, 256, (n_rows, 2)), np.repeat(activities, 30)]
    )


def hugadb_text(table):
    """Return a file with its header: three comments, a line of names, the numbers."""
    sensors = [f"{place}_{kind}_{axis}" for place in ("RF", "RS", "RT", "LF", "LS", "LT")
               for kind in ("acc", "gyro") for axis in "xyz"]  # fmt: skip
    names = "\t".join([*sensors, "R_EMG", "L_EMG", "act"])
    header = f"#Activity\tmade up \n#ActivityID\t1 \n#Date 2016-10-20-15-35\n{names}\n"
    return header.encode() + text_of(table, "\t", "%d")


def _hugadb():
    files = {
        "walking_01_00": hugadb_table(1, 1),
        "various_02_03": hugadb_table(2, 5, 7, 1, 3, 1, 6),
        "running_09_01": hugadb_table(3, 2),  # the left leg's gyroscopes are listed as corrupted
        "sitting_in_car_01_07": hugadb_table(4, 12),
        "various_18_00": hugadb_table(5, 8, 4, 9, 10, 11),
    }
    tree = {f"HuGaDB v2/Data/HuGaDB_v2_{name}.txt": hugadb_text(table) for name, table in files.items()}
    tree["HuGaDB v2/ReadMe.txt"] = b"not read"
    return tree


TREES = {
    "hugadb": _hugadb(),
    "mhealth": _mhealth(),
    "opportunity_gestures": (_OPPORTUNITY := _opportunity()),
    "opportunity_locomotion": _OPPORTUNITY,
    "pamap2": _pamap2(),
}

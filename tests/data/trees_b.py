"""Tiny made-up trees of UCI-HAR, MotionSense, Shoaib, WISDM and RealWorld, in their documented formats."""

import io
import zipfile

import numpy as np


def _lines(values, separator, form="{:.6f}", end="\n"):
    return "".join(separator.join(form.format(value) for value in row) + end for row in values).encode()


def zipped(tree):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return file.getvalue()


# part -> (subject, activity of each half window after the first) of every unbroken stretch
UCIHAR_STRETCHES = {
    "train": ((1, (5, 5, 4)), (1, (1,)), (3, (2, 2, 2))),
    "test": ((2, (6, 6)),),
}


def ucihar_signals():
    """Return part -> the continuous signals (T, 6) of each stretch, as rounded in the files."""
    rng = np.random.default_rng(10)
    return {
        part: [
            np.array([[float(f"{x:.7e}") for x in row] for row in rng.normal(size=(64 * (len(labels) + 1), 6))])
            for _, labels in stretches
        ]
        for part, stretches in UCIHAR_STRETCHES.items()
    }


def _ucihar():
    root, tree = "UCI HAR Dataset/", {"UCI HAR Dataset/README.txt": b"not read"}
    for part, signals in ucihar_signals().items():
        stretches = UCIHAR_STRETCHES[part]
        windows = np.concatenate([
            np.stack([values[64 * i : 64 * i + 128] for i in range(len(labels))])
            for values, (_, labels) in zip(signals, stretches, strict=True)
        ])
        folder = f"{root}{part}/"
        for i, kind in enumerate(f"{name}_{axis}" for name in ("total_acc", "body_gyro") for axis in "xyz"):
            rows = _lines(windows[:, :, i], " ", "{:15.7e}")
            tree[f"{folder}Inertial Signals/{kind}_{part}.txt"] = rows
        tree[f"{folder}Inertial Signals/body_acc_x_{part}.txt"] = b"not read"
        tree[f"{folder}X_{part}.txt"] = b"not read"
        subjects = [subject for subject, labels in stretches for _ in labels]
        labels = [label for _, labels in stretches for label in labels]
        tree[f"{folder}subject_{part}.txt"] = "".join(f"{subject}\n" for subject in subjects).encode()
        tree[f"{folder}y_{part}.txt"] = "".join(f"{label}\n" for label in labels).encode()
    return tree


MOTIONSENSE_TRIALS = (
    "dws_1", "dws_2", "dws_11", "ups_3", "ups_4", "ups_12", "wlk_7", "wlk_8", "wlk_15", "jog_9", "jog_16", "sit_5",
    "sit_13", "std_6", "std_14",
)  # fmt: skip
MOTIONSENSE_HEADER = b",attitude.roll,attitude.pitch,attitude.yaw,gravity.x,gravity.y,gravity.z,rotationRate.x," \
    b"rotationRate.y,rotationRate.z,userAcceleration.x,userAcceleration.y,userAcceleration.z\n"


def _motionsense():
    rng, tree = np.random.default_rng(11), {}
    for trial in MOTIONSENSE_TRIALS:
        for subject in range(1, 25):
            table = rng.normal(size=(3, 12))
            table[:, 3:6] /= np.linalg.norm(table[:, 3:6], axis=1, keepdims=True)
            rows = b"".join(b"%d," % i + _lines([row], ",") for i, row in enumerate(table))
            tree[f"A_DeviceMotion_data/{trial}/sub_{subject}.csv"] = MOTIONSENSE_HEADER + rows
    tree["A_DeviceMotion_data/sit_13/sub_1.csv"] = tree["A_DeviceMotion_data/sit_5/sub_1.csv"]
    tree["__MACOSX/A_DeviceMotion_data/sit_5/._sub_1.csv"] = b"not read"
    return tree


SHOAIB_LABELS = ("walking", "standing", "jogging", "sitting", "biking", "upsatirs", "downstairs")
SHOAIB_HEADER = b"Left_pocket" + b"," * 14 + b"Right_pocket" + b"," * 14 + b"Wrist" + b"," * 14 + b"Upper_arm" \
    + b"," * 14 + b"Belt" + b"," * 13 + b"\n" \
    + b",".join([b"time_stamp,Ax,Ay,Az,Lx,Ly,Lz,Gx,Gy,Gz,Mx,My,Mz,"] * 5) + b"\n"


def shoaib_table(subject):
    """Return the numbers (T, 5, 12) of a participant; three rows an activity."""
    return np.random.default_rng(1200 + subject).normal(size=(3 * len(SHOAIB_LABELS), 5, 12)).round(6)


def _shoaib():
    tree = {"DataSet/Readme.txt": b"not read"}
    for subject in range(1, 11):
        rows = [
            ",,".join("1.39E+12," + ",".join(f"{value:.6f}" for value in own) for own in row)
            + f",{SHOAIB_LABELS[i // 3]}\r\n"
            for i, row in enumerate(shoaib_table(subject))
        ]
        tree[f"DataSet/Participant_{subject}.csv"] = SHOAIB_HEADER + "".join(rows).encode()
    return tree


WISDM_START_NS = {"phone": 252_207_666_810_782, "watch": 90_426_708_196_641}


def wisdm_rows(subject, letter, times_ns, values):
    return "".join(
        f"{subject},{letter},{time:d},{x:.7g},{y:.7g},{z:.7g};\n"
        for time, (x, y, z) in zip(times_ns, values, strict=True)
    ).encode()


def wisdm_file(subject, device, sensor, letters=("A", "S"), n_rows=60, pause_s=30):
    """Return a file of slow waves at 20 Hz: 10 at every time t on the device's clock would be 10 * cos(t)."""
    rows, start_ns = [], WISDM_START_NS[device]
    for place, letter in enumerate(letters):
        offset_ns = (0 if sensor == "accel" else 20_000_000) + place * (n_rows * 50_000_000 + pause_s * 10**9)
        times_ns = start_ns + offset_ns + np.arange(n_rows) * 50_000_000
        waves = 10 * np.cos((times_ns - start_ns)[:, None] * 1e-9 + np.arange(3))
        rows.append(wisdm_rows(subject, letter, times_ns, waves))
    return b"".join(rows)


def _wisdm():
    tree = {"wisdm-dataset/activity_key.txt": b"not read", "wisdm-dataset/raw/phone/accel/.DS_Store": b"not read"}
    for subject in (1600, 1650):
        for device in ("phone", "watch"):
            for sensor in ("accel", "gyro"):
                path = f"wisdm-dataset/raw/{device}/{sensor}/data_{subject}_{sensor}_{device}.txt"
                tree[path] = wisdm_file(subject, device, sensor)
    return tree


REALWORLD_PLACEMENTS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
REALWORLD_SENSORS = {"acc": "acc", "gyr": "Gyroscope", "mag": "MagneticField"}
REALWORLD_START_MS = 1_435_993_916_000


def realworld_csv(n_rows=40, start_ms=REALWORLD_START_MS, seed=0):
    values = np.random.default_rng(seed).normal(size=(n_rows, 3))
    rows = (f"{i + 1},{start_ms + 20 * i}," + ",".join(f"{x:.6f}" for x in row) for i, row in enumerate(values))
    return ("id,attr_time,attr_x,attr_y,attr_z\n" + "".join(f"{row}\n" for row in rows)).encode()


def realworld_files(sensor, activity, go="", without=()):
    """Return the files of one sensor's archive."""
    begin = REALWORLD_SENSORS[sensor]
    return {
        f"{begin}_{activity}{go}_{placement}.csv": realworld_csv(seed=i)
        for i, placement in enumerate(REALWORLD_PLACEMENTS)
        if placement not in without
    } | {"readMe": b"not read"}


def _realworld():
    tree = {"proband1/data/gps_walking_csv.zip": b"not an archive, and not read", "proband1/images/a.jpg": b"not read"}
    for sensor in REALWORLD_SENSORS:
        tree[f"proband1/data/{sensor}_walking_csv.zip"] = zipped(realworld_files(sensor, "walking"))
        tree[f"proband2/data/{sensor}_climbingup_csv.zip"] = zipped(
            realworld_files(sensor, "climbingup", without=["forearm"])
        )
        goes = {
            f"{sensor}_climbingup{'' if sensor != 'acc' and go == '1' else '_' + go}_csv.zip": zipped(
                realworld_files(sensor, "climbingup", "" if go == "1" else f"_{go}")
            )
            for go in "123"
        }
        tree[f"proband4/data/{sensor}_climbingup_csv.zip"] = zipped(goes)
        tree[f"proband4/data/{sensor}_walking_csv.zip"] = zipped(realworld_files(sensor, "walking", "_2"))
    return tree


TREES = {
    "motionsense": _motionsense(),
    "realworld": _realworld(),
    "shoaib": _shoaib(),
    "ucihar": _ucihar(),
    "wisdm": _wisdm(),
}

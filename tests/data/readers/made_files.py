"""Write small files in the genuine formats of recorders, from their descriptions; no code of the readers is used."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

G = 9.80665
T0 = 1_700_000_000.0


def turning(n: int, rate_hz: float = 50.0) -> NDArray[np.float64]:
    """A gravity vector in g that turns slowly about x, with a small movement on x: (n, 3)."""
    t = np.arange(n) / rate_hz
    return np.stack([0.1 * np.sin(7 * t), np.sin(0.3 * t), np.cos(0.3 * t)], axis=1)


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# Phyphox


def phyphox_number(value: float, decimal: str) -> str:
    if np.isnan(value):
        return "NaN"
    mantissa, exponent = f"{value:.9E}".split("E")
    return f"{mantissa}E{int(exponent)}".replace(".", decimal)


def phyphox_table(columns: Mapping[str, Sequence[float]], separator: str = ",", decimal: str = ".") -> bytes:
    lines = [separator.join(f'"{name}"' for name in columns)]
    n = max(len(values) for values in columns.values())
    for i in range(n):
        cells = (values[i] if i < len(values) else np.nan for values in columns.values())
        lines.append(separator.join(phyphox_number(float(cell), decimal) for cell in cells))
    return ("\n".join(lines) + "\n").encode()


def phyphox_times(events: Sequence[tuple[str, float, float]], separator: str = ",", decimal: str = ".") -> bytes:
    lines = [separator.join(f'"{name}"' for name in ("event", "experiment time", "system time", "system time text"))]
    for event, inner, outer in events:
        text = datetime.fromtimestamp(outer, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC+00:00"
        cells = [f'"{event}"', phyphox_number(inner, decimal), f"{outer:.3f}".replace(".", decimal), f'"{text}"']
        lines.append(separator.join(cells))
    return ("\n".join(lines) + "\n").encode()


def phyphox_triad(label: str, unit: str, values: NDArray[np.float64], rate_hz: float = 50.0) -> dict[str, list[float]]:
    times = (np.arange(len(values)) / rate_hz).tolist()
    return {
        "Time (s)": times,
        **{f"{label} {axis} ({unit})": values[:, i].tolist() for i, axis in enumerate("xyz")},
        "Absolute (" + unit + ")": np.linalg.norm(values, axis=1).tolist(),
    }


def phyphox(separator: str = ",", decimal: str = ".", n: int = 200) -> dict[str, bytes]:
    """Acceleration and angular rate at 50 Hz; paused for 10 s after half of the samples."""
    acc, gyr = turning(n) * G, turning(n)
    half, whole = n / 100, n / 50
    events = [("START", 0.0, T0), ("PAUSE", half, T0 + half), ("START", half, T0 + half + 10),
              ("PAUSE", whole, T0 + 10 + whole)]  # fmt: skip
    device = separator.join(['"property"', '"value"']) + "\n" + separator.join(['"deviceModel"', '"iPhone14,5"']) + "\n"
    return {
        "Accelerometer.csv": phyphox_table(phyphox_triad("Acceleration", "m/s^2", acc), separator, decimal),
        "Gyroscope.csv": phyphox_table(phyphox_triad("Gyroscope", "rad/s", gyr), separator, decimal),
        "meta/device.csv": device.encode(),
        "meta/time.csv": phyphox_times(events, separator, decimal),
    }


# Sensor Logger


def logger_table(values: NDArray[np.float64], columns: Sequence[str] = "xyz", rate_hz: float = 100.0,
                 start_s: float = T0) -> bytes:  # fmt: skip
    """Rows as the app writes them: the axes in reverse order behind two times."""
    lines = ["time,seconds_elapsed," + ",".join(reversed(columns))]
    for i, row in enumerate(values):
        t_ns = round((start_s - T0) * 1e9) + round(i * 1e9 / rate_hz)
        lines.append(f"{int(T0) * 10**9 + t_ns},{t_ns / 1e9!r}," + ",".join(repr(float(x)) for x in row[::-1]))
    return ("\n".join(lines) + "\n").encode()


def logger_metadata(platform: str, *, standardised: bool = False) -> bytes:
    return (
        "version,device name,recording epoch time,recording time,recording timezone,platform,appVersion,device id,"
        "sensors,sampleRateMs,standardisation,platform version\n"
        f"3,Phone of Ann,{int(T0 * 1000)},2023-11-14_22-13-20,Europe/Berlin,{platform},1.44.0,abc,"
        f"Accelerometer|Gravity|Gyroscope,10|10|10,{str(standardised).lower()},17.1\n"
    ).encode()


def logger_notes(marks: Sequence[tuple[float, str]]) -> bytes:
    lines = ["time,seconds_elapsed,text,millisecond_press_duration"]
    lines += [f'{int(T0) * 10**9 + round(t * 1e9)},{t},"{text}",120' for t, text in marks]
    return ("\n".join(lines) + "\n").encode()


def sensor_logger(platform: str = "ios", n: int = 300, *, standardised: bool = False) -> dict[str, bytes]:
    """A phone and a watch that turn; upright gravity is +1 g on Android and -1 g on iOS."""
    sign = -1.0 if platform == "ios" and not standardised else 1.0
    gravity = turning(n) * [0, 1, 1]
    motion = turning(n) - gravity
    to_watch = 1.0 if sign < 0 else G
    wrist = np.concatenate([turning(n), sign * to_watch * gravity, sign * to_watch * motion], axis=1)
    names = [f"{part}{axis}" for part in ("rotationRate", "gravity", "acceleration") for axis in "XYZ"]
    files = {
        "Accelerometer.csv": logger_table(sign * G * motion),
        "Gravity.csv": logger_table(sign * G * gravity),
        "Gyroscope.csv": logger_table(turning(n)),
        "Magnetometer.csv": logger_table(30 * turning(n)),
        "WristMotion.csv": logger_table(wrist, names),
        "HeartRate.csv": logger_table(60 + np.arange(4.0)[:, None], ["bpm"], rate_hz=1.0),
        "Annotation.csv": logger_notes([(0.5, "walk"), (1.5, "sit, calmly"), (2.5, "stop")]),
        "Metadata.csv": logger_metadata(platform, standardised=standardised),
        "Battery.csv": b"time,seconds_elapsed,batteryLevel\n1700000000000000000,0.0,0.5\n",
    }
    if platform == "android":
        files["TotalAcceleration.csv"] = logger_table(G * turning(n))
    return files


def sensor_logger_json(n: int = 200) -> bytes:
    rows: list[dict[str, str]] = []
    for sensor, scale in (("Accelerometer", 0.0), ("Gravity", -G), ("Gyroscope", 1.0)):
        for i, (x, y, z) in enumerate(turning(n) * scale):
            rows.append(
                {
                    "sensor": sensor,
                    "time": str(int(T0) * 10**9 + i * 10**7),
                    "seconds_elapsed": str(i / 100),
                    "z": repr(float(z)),
                    "y": repr(float(y)),
                    "x": repr(float(x)),
                }
            )
    rows.append(
        {
            "sensor": "Annotation",
            "time": str(int(T0) * 10**9 + 5 * 10**8),
            "seconds_elapsed": "0.5",
            "text": "run",
            "millisecond_press_duration": "80",
        }
    )
    rows.append({"sensor": "Metadata", "version": "3", "platform": "ios", "standardisation": "false"})
    return json.dumps(rows).encode()


# XDF


def xdf_length(n: int) -> bytes:
    if n < 256:
        return struct.pack("<BB", 1, n)
    return struct.pack("<BI", 4, n) if n < 2**32 else struct.pack("<BQ", 8, n)


def xdf_chunk(tag: int, content: bytes) -> bytes:
    return xdf_length(len(content) + 2) + struct.pack("<H", tag) + content


def xdf_header(
    number: int, name: str, kind: str, n_channels: int, rate_hz: float, form: str,
    channels: Sequence[tuple[str, str, str]] = (),
) -> bytes:  # fmt: skip
    listed = "".join(
        f"<channel><label>{escape(a)}</label><type>{escape(b)}</type><unit>{escape(c)}</unit></channel>"
        for a, b, c in channels
    )
    desc = f"<desc><channels>{listed}</channels></desc>" if channels else "<desc/>"
    xml = (
        f'<?xml version="1.0"?><info><name>{escape(name)}</name><type>{kind}</type><channel_count>{n_channels}'
        f"</channel_count><nominal_srate>{rate_hz}</nominal_srate><channel_format>{form}</channel_format>"
        f"<source_id>s{number}</source_id><hostname>lab</hostname>{desc}</info>"
    )
    return xdf_chunk(2, struct.pack("<I", number) + xml.encode())


def xdf_samples(number: int, times: Sequence[float | None], values: Sequence[Sequence[object]], form: str) -> bytes:
    code = {"double64": "d", "float32": "f", "int16": "h", "int32": "i"}.get(form)
    content = struct.pack("<I", number) + xdf_length(len(times))
    for time_s, row in zip(times, values, strict=True):
        content += b"\x00" if time_s is None else struct.pack("<Bd", 8, time_s)
        for value in row:
            if code is None:
                text = str(value).encode()
                content += xdf_length(len(text)) + text
            else:
                content += struct.pack("<" + code, value)
    return xdf_chunk(3, content)


def xdf(n: int = 200, offset_s: float = 2.0) -> bytes:
    """An IMU at 50 Hz on a computer whose clock is behind by an offset, and markers on the recorder's own clock."""
    acc, gyr = turning(n), turning(n)
    channels = [(f"{label}_{axis}", kind, unit) for label, kind, unit in (("acc", "ACC", "g"), ("gyro", "GYR", "deg/s"))
                for axis in "xyz"]  # fmt: skip
    start = 1000.0
    times = [start + i / 50 for i in range(n)]
    rows = np.concatenate([acc, 90 * gyr], axis=1).tolist()
    parts = [b"XDF:", xdf_chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>'),
             xdf_header(1, "Left Wrist", "IMU", 6, 50.0, "float32", channels),
             xdf_header(2, "Markers", "Markers", 1, 0.0, "string"),
             xdf_chunk(5, bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4"))]  # fmt: skip
    for at in (start, start + 2, start + 4):
        parts.append(xdf_chunk(4, struct.pack("<Idd", 1, at, offset_s)))
    for i in range(0, n, 50):
        # the first sample of a chunk has a time, the others follow at the nominal rate
        chunk = [times[i], *[None] * (min(50, n - i) - 1)]
        parts.append(xdf_samples(1, chunk, rows[i : i + 50], "float32"))
    marks = [(start + offset_s + 1.0, "walk start"), (start + offset_s + 3.0, "walk stop")]
    parts.append(xdf_samples(2, [t for t, _ in marks], [[text] for _, text in marks], "string"))
    parts += [
        xdf_chunk(6, struct.pack("<I", number) + b"<info><sample_count>1</sample_count></info>") for number in (1, 2)
    ]
    return b"".join(parts)


# Axivity


def cwa_time(unix_s: float) -> int:
    t = datetime.fromtimestamp(unix_s, UTC)
    return (t.year - 2000) << 26 | t.month << 22 | t.day << 17 | t.hour << 12 | t.minute << 6 | t.second


def cwa_header(rate_code: int, *, is_ax6: bool, start_s: float = T0) -> bytes:
    block = bytearray(1024)
    struct.pack_into("<2sHBHI", block, 0, b"MD", 1020, 0x64 if is_ax6 else 0x17, 12345, 7)
    struct.pack_into("<HII", block, 11, 0, cwa_time(start_s), cwa_time(start_s + 3600))
    block[35] = 0x02 if is_ax6 else 0x00
    struct.pack_into("<BIB", block, 36, rate_code, cwa_time(start_s), 44)
    block[64:512] = b" " * 448
    return bytes(block)


def cwa_block(
    sequence: int, unix_s: float, fraction: float, rate_code: int, samples: NDArray[np.int16], code: int, scale: int
) -> bytes:
    """One block of samples (N, 3) or (N, 6) whose first was taken at ``unix_s + fraction``.

    The place of the time stamp is moved back by the samples that the fraction makes, for readers that ignore fractions.
    """
    block = bytearray(512)
    part = round(fraction * 32768) & 0x7FFF
    back = -int(part * 3200 / 2 ** (15 - (rate_code & 15)) / 32768)
    light_scale = scale << 13 | (0b010 << 10 if code == 0x62 else 0) | 300
    struct.pack_into("<2sHHIII", block, 0, b"AX", 508, 0x8000 | part, 7, sequence, cwa_time(unix_s))
    struct.pack_into("<HHBBBBhH", block, 18, light_scale, 240, 0, 200, rate_code, code, back, len(samples))
    if code == 0x30:
        words = [_packed(sample) for sample in samples.tolist()]
        struct.pack_into(f"<{len(words)}I", block, 30, *words)
    else:
        data = samples.astype("<i2").tobytes()
        block[30 : 30 + len(data)] = data
    return cwa_sealed(block)


def cwa_sealed(block: bytearray) -> bytes:
    """Make the sum of all words of a block zero."""
    words = struct.unpack("<255H", bytes(block[:510]))
    return bytes(block[:510]) + struct.pack("<H", -sum(words) & 0xFFFF)


def _packed(sample: Sequence[int]) -> int:
    """Three numbers of ten bits behind an exponent of two."""
    exponent = next(e for e in range(4) if all(-512 <= value >> e <= 511 for value in sample))
    x, y, z = ((value >> exponent) & 0x3FF for value in sample)
    return exponent << 30 | z << 20 | y << 10 | x


def cwa(kind: str = "ax3", n_blocks: int = 6, rate_code: int = 0x4A) -> bytes:
    """``ax3`` (16-bit), ``ax3_packed`` or ``ax6``; 100 Hz, one g is 256 steps (4096 on the AX6)."""
    code, per_block, per_g, scale = {"ax3": (0x32, 80, 256, 0), "ax3_packed": (0x30, 120, 256, 0),
                                     "ax6": (0x62, 40, 4096, 4)}[kind]  # fmt: skip
    n = n_blocks * per_block
    acc = np.round(turning(n, 100.0) * per_g).astype(np.int16)
    samples = (
        np.concatenate([np.round(turning(n, 100.0) * 1000).astype(np.int16), acc], axis=1) if kind == "ax6" else acc
    )
    parts = [cwa_header(rate_code, is_ax6=kind == "ax6")]
    for i in range(n_blocks):
        whole, fraction = divmod(T0 + i * per_block / 100, 1.0)
        rows = samples[i * per_block : (i + 1) * per_block]
        parts.append(cwa_block(i, whole, fraction, rate_code, rows, code, scale))
    return b"".join(parts)


# ActiGraph


def gt3x_record(kind: int, second: int, payload: bytes) -> bytes:
    body = struct.pack("<BBIH", 0x1E, kind, second, len(payload)) + payload
    check = 0
    for byte in body:
        check ^= byte
    return body + bytes([~check & 0xFF])


def gt3x_twelve_bits(xyz: NDArray[np.int64]) -> bytes:
    """Numbers of 12 bits in the order y, x, z, from the most significant bit on."""
    bits = "".join(format(int(value) & 0xFFF, "012b") for row in xyz for value in (row[1], row[0], row[2]))
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def gt3x_float(value: float) -> int:
    """A fraction of three bytes and an exponent of one, both two's complement."""
    mantissa, exponent = np.frexp(value)
    return (int(exponent) & 0xFF) << 24 | (int(mantissa * 2**23) & 0xFFFFFF)


def gt3x_info(serial: str = "TAS1E23456789", rate_hz: int = 30, **more: str) -> bytes:
    lines = {"Serial Number": serial, "Firmware": "1.7.2", "Battery Voltage": "4.2", "Sample Rate": str(rate_hz),
             "Start Date": "638355760000000000", "Stop Date": "0", "Subject Name": "ann", "TimeZone": "01:00:00",
             **more}  # fmt: skip
    return "".join(f"{key}: {value}\r\n" for key, value in lines.items()).encode()


def gt3x_log(kind: str = "activity2", n_seconds: int = 8, rate_hz: int = 30, scale: float = 256.0) -> bytes:
    """Eight seconds, of which the device sleeps through the fourth; a pulse in the second."""
    xyz = np.round(turning(n_seconds * rate_hz, rate_hz) * scale).astype(np.int64)
    second = int(T0)
    pairs = struct.pack("<HHI", 0, 6, 2) + struct.pack("<HHI", 0, 55, gt3x_float(scale))
    parts = [gt3x_record(6, second, b'{"MetadataType":"Bio"}'), gt3x_record(21, second, pairs)]
    for i in range(n_seconds):
        if i == 3:
            continue
        rows = xyz[i * rate_hz : (i + 1) * rate_hz]
        payload = rows.astype("<i2").tobytes() if kind == "activity2" else gt3x_twelve_bits(rows)
        parts.append(gt3x_record(26 if kind == "activity2" else 0, second + i, payload))
        if i == 1:
            parts += [b"\0\0\0", gt3x_record(4, second + i, bytes([72])), gt3x_record(14, second + i, bytes([0, 74]))]
    parts.append(gt3x_record(26, second + n_seconds, b"\0"))  # plugged in
    return b"".join(parts)


def gt3x(kind: str = "activity2", **more: str) -> bytes:
    return zipped({"info.txt": gt3x_info(**more), "log.bin": gt3x_log(kind)})


def gt3x_imu_log(n_seconds: int = 3, rate_hz: int = 100) -> bytes:
    """A schema of gyroscope and temperature, and its data, beside the primary accelerometer."""
    columns = [("Gyroscope X", 16.384), ("Gyroscope Y", 16.384), ("Gyroscope Z", 16.384), ("Temperature", 333.87)]
    schema = struct.pack("<3h", 1, len(columns), rate_hz)
    for i, (label, scale) in enumerate(columns):
        schema += struct.pack("<BBBI16s", 3, 16 * i, 16, gt3x_float(scale), label.ljust(16).encode())
    parts = [gt3x_log(n_seconds=n_seconds), gt3x_record(24, int(T0), schema)]
    for second in range(n_seconds):
        rows = np.zeros((rate_hz, 4))
        rows[:, :3] = np.round(turning(rate_hz) * 1638.4)
        parts.append(gt3x_record(25, int(T0) + second, struct.pack("<h", 1) + rows.astype(">i2").tobytes()))
    return b"".join(parts)


# Apple Health, SensorLog, AndroSensor

_DOCTYPE = """<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 12 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Workout)*)>
<!ATTLIST HealthData locale CDATA #REQUIRED
>
<!ELEMENT VisionPrescription EMPTY>
<!ATTLIST VisionPrescription
  type CDATA #REQUIRED
  <!ELEMENT RightEye EMPTY>
>
]>
"""


def health(
    beats: Sequence[tuple[float, float]] = ((3.0, 71.0), (0.0, 64.0), (6.0, 80.5)), doctype: str = _DOCTYPE
) -> bytes:
    """An export with the document type that some versions of iOS break, and records of other kinds."""

    def stamp(t: float) -> str:
        return datetime.fromtimestamp(T0 + t, UTC).strftime("%Y-%m-%d %H:%M:%S +0000")

    records = "".join(
        f'<Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Ann&#x2019;s Watch" unit="count/min" '
        f'creationDate="{stamp(t + 9)}" startDate="{stamp(t)}" endDate="{stamp(t)}" value="{value:g}">\n'
        '<MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>\n</Record>\n'
        for t, value in beats
    )
    steps = (f'<Record type="HKQuantityTypeIdentifierStepCount" unit="count" startDate="{stamp(0)}" '
             f'endDate="{stamp(60)}" '
             'value="90"/>\n')  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + doctype + '<HealthData locale="en_GB">\n'
        f'<ExportDate value="{stamp(100)}"/>\n<Me HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet"/>\n'
        + steps
        + records
        + "</HealthData>\n"
    ).encode()


def sensorlog(n: int = 200, rate_hz: float = 50.0) -> bytes:
    """A phone that lies and turns: iOS counts gravity downwards. The magnetometer is slower than the rows."""
    names = ["loggingTime(txt)", "loggingSample(N)", "accelerometerTimestamp_sinceReboot(s)",
             *(f"accelerometerAcceleration{a}(G)" for a in "XYZ"), "motionTimestamp_sinceReboot(s)",
             *(f"motionRotationRate{a}(rad/s)" for a in "XYZ"), "magnetometerTimestamp_sinceReboot(s)",
             *(f"magnetometer{a}(µT)" for a in "XYZ"), "label(N)"]  # fmt: skip
    lines = [",".join(names)]
    for i, row in enumerate(turning(n, rate_hz)):
        t = i / rate_hz
        slow = (i // 5) * 5 / rate_hz
        wall = datetime.fromtimestamp(T0 + t, UTC).isoformat(timespec="milliseconds")
        cells = [
            wall,
            i + 1,
            500 + t,
            *(-row),
            500 + t,
            *row,
            500 + slow,
            *(20 + slow, 21.0, 22.0),
            1 if i < n // 2 else 2,
        ]
        lines.append(",".join(str(cell) for cell in cells))
    return ("\n".join(lines) + "\n").encode()


def androsensor(n: int = 200, separator: str = ";", encoding: str = "utf-8", decimal: str = ".") -> bytes:
    names = [f"ACCELEROMETER {a} (m/s²)" for a in "XYZ"] + [f"LINEAR ACCELERATION {a} (m/s²)" for a in "XYZ"]
    names += [f"GYROSCOPE {a} (rad/s)" for a in "XYZ"] + [f"MAGNETIC FIELD {a} (µT)" for a in "XYZ"]
    names += ["SOUND LEVEL (dB)", "Time since start in ms ", "YYYY-MO-DD HH-MI-SS_SSS"]
    lines = [f"sep={separator}", separator.join(names)]
    for i, row in enumerate(turning(n)):
        wall = datetime.fromtimestamp(T0 + i / 50, UTC).strftime("%Y-%m-%d %H:%M:%S:%f")[:-3]
        numbers = [*(row * G), *(row * 0.1), *row, *(30 * row), 40.0]
        lines.append(separator.join([*(f"{x:.4f}".replace(".", decimal) for x in numbers), str(20 * i), wall]))
    return ("\n".join(lines) + "\n").encode(encoding)

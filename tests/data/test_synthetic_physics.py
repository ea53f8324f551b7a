import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.data.synthetic.activities import ACTIVITIES, JOINTS
from dcdp.data.synthetic.body import Pose, make_subject, placement_poses, rotation, rotation_from_vector
from dcdp.data.synthetic.config import PLACEMENTS
from dcdp.data.synthetic.schedule import SIMULATION_HZ, make_course, move
from dcdp.data.synthetic.sensors import (
    EARTH_FIELD_UT,
    ERRORS,
    accelerometer,
    disturb,
    gyroscope,
    heart_rate,
    lose,
    magnetometer,
)

vectors = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)


@pytest.fixture(scope="module")
def recorded():
    rng = np.random.default_rng(3)
    subject, course = make_subject(0, rng), make_course(120.0, rng)
    motion = move(subject, course, rng)
    return subject, course, motion, placement_poses(subject.limbs, motion.angles, motion.heading, subject.mounting)


def still(orientation, n_samples=10):
    return Pose(np.zeros((n_samples, 3)), np.broadcast_to(orientation, (n_samples, 3, 3)))


@given(vectors)
def test_a_rotation_is_orthonormal_keeps_its_axis_and_turns_by_its_length(vector):
    turned = rotation_from_vector(vector)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turned @ vector, vector, atol=1e-12)
    assert np.trace(turned) == pytest.approx(1 + 2 * np.cos(np.linalg.norm(vector)), abs=1e-9)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_coordinate_rotations_agree_with_rodrigues(axis):
    angle = np.linspace(-3, 3, 7)
    vector = angle[:, None] * np.eye(3)["xyz".index(axis)]
    np.testing.assert_allclose(rotation(axis, angle), rotation_from_vector(vector), atol=1e-12)


@given(vectors)
def test_a_still_accelerometer_reads_gravity_upwards(vector):
    orientation = rotation_from_vector(vector)
    reading = accelerometer(still(orientation), 100.0, 50.0)
    np.testing.assert_allclose(np.linalg.norm(reading, axis=1), 9.81, rtol=1e-12)
    np.testing.assert_allclose(reading @ orientation.T, np.tile([0, 0, 9.81], (5, 1)), atol=1e-9)


def test_a_falling_accelerometer_reads_nothing():
    time_s = np.arange(50) / 100
    position = np.zeros((50, 3))
    position[:, 2] = -0.5 * 9.81 * time_s**2
    falling = Pose(position, np.broadcast_to(np.eye(3), (50, 3, 3)))
    np.testing.assert_allclose(accelerometer(falling, 100.0, 50.0), 0, atol=1e-9)


def test_a_sensor_on_a_turntable_feels_the_centripetal_pull_and_the_turning():
    rate, radius = 2.0, 0.5  # rad/s, m
    angle = rate * np.arange(200) / 100
    position = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    pose = Pose(position, rotation("z", angle))
    np.testing.assert_allclose(
        accelerometer(pose, 100.0, 50.0)[1:-1], np.tile([-(rate**2) * radius, 0, 9.81], (98, 1)), atol=1e-3
    )
    np.testing.assert_allclose(gyroscope(pose, 100.0, 50.0), np.tile([0, 0, np.rad2deg(rate)], (100, 1)), atol=1e-9)


@given(vectors)
def test_a_still_gyroscope_reads_nothing_and_a_magnetometer_the_field(vector):
    orientation = rotation_from_vector(vector)
    np.testing.assert_allclose(gyroscope(still(orientation), 100.0, 50.0), 0, atol=1e-9)
    np.testing.assert_allclose(magnetometer(still(orientation), 100.0, 25.0)[0], orientation.T @ EARTH_FIELD_UT)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_integrating_the_gyroscope_gives_the_orientation(recorded, placement):
    pose = recorded[3][placement]
    rate_dps = gyroscope(pose, SIMULATION_HZ, 50.0)
    integrated = pose.orientation[0]
    for turn in rotation_from_vector(np.deg2rad(rate_dps[:-1]) / 50.0):
        integrated = integrated @ turn
    np.testing.assert_allclose(integrated, pose.orientation[::2][-1], atol=1e-9)
    assert np.linalg.norm(rate_dps, axis=1).max() > 20  # it did move


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_magnetic_field_keeps_its_strength(recorded, placement):
    strength = np.linalg.norm(magnetometer(recorded[3][placement], SIMULATION_HZ, 25.0), axis=1)
    np.testing.assert_allclose(strength, np.linalg.norm(EARTH_FIELD_UT), rtol=1e-9)


def test_the_chain_hangs_straight_and_bends_the_right_way():
    limbs = make_subject(0, np.random.default_rng(0)).limbs
    angles = np.zeros((3, len(JOINTS)))
    angles[1, JOINTS.index("knee_flexion")] = angles[1, JOINTS.index("elbow_flexion")] = np.pi / 2
    angles[2, JOINTS.index("hip_flexion")] = angles[2, JOINTS.index("shoulder_flexion")] = np.pi / 2
    poses = placement_poses(limbs, angles, np.zeros(3), {"wrist": np.eye(3), "ankle": np.eye(3)})
    leg, arm = poses["ankle"].position, poses["wrist"].position
    np.testing.assert_allclose(leg[0], [0, -limbs.hip_width, -limbs.thigh - limbs.shank], atol=1e-12)
    np.testing.assert_allclose(leg[1], [-limbs.shank, -limbs.hip_width, -limbs.thigh], atol=1e-12)  # heel backward
    np.testing.assert_allclose(leg[2], [limbs.thigh + limbs.shank, -limbs.hip_width, 0], atol=1e-12)
    np.testing.assert_allclose(
        arm[1], [limbs.forearm, -limbs.shoulder_width, limbs.trunk - limbs.upper_arm], atol=1e-12
    )
    np.testing.assert_allclose(arm[2][0], limbs.upper_arm + limbs.forearm)


def test_lying_differs_from_standing_by_a_quarter_turn_of_gravity(recorded):
    _, course, _, poses = recorded
    reading = accelerometer(poses["chest"], SIMULATION_HZ, 50.0)
    mean = {}
    for segment in course.segments:
        mean[segment.label] = reading[round(segment.start_s * 50) : round(segment.stop_s * 50)].mean(axis=0)
    lying, standing = mean["lying"], mean["standing"]
    assert np.linalg.norm(lying) == pytest.approx(9.81, abs=0.1)
    assert np.linalg.norm(standing) == pytest.approx(9.81, abs=0.1)
    angle = np.rad2deg(np.arccos(lying @ standing / np.linalg.norm(lying) / np.linalg.norm(standing)))
    assert angle == pytest.approx(90, abs=25)


def test_movement_has_no_jump_between_activities(recorded):
    _, course, motion, poses = recorded
    limit = 60.0  # m/s2; a jump of the pose by a millimetre in one sample would read 10 m/s2, a broken blend thousands
    for pose in poses.values():
        assert np.abs(accelerometer(pose, SIMULATION_HZ, SIMULATION_HZ)).max() < limit
    weights = course.weights(motion.time_s)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    inside = np.abs(motion.time_s - (course.start_s + course.stop_s)[:, None] / 2) < (
        (course.stop_s - course.start_s)[:, None] / 2
    )
    np.testing.assert_array_equal(weights.T[inside], 1)


@pytest.mark.parametrize("seed", range(4))
def test_people_turn_the_short_way_round_between_activities(seed):
    rng = np.random.default_rng(seed)
    subject, course = make_subject(0, rng), make_course(120.0, rng)
    heading = np.rad2deg(move(subject, course, rng).heading)
    steady = np.array([ACTIVITIES[index].wander_deg == 0 for index in course.activity])
    first, last = np.round((course.start_s[1:] + 0.01) * SIMULATION_HZ), np.round(course.stop_s[:-1] * SIMULATION_HZ)
    turned = np.abs(heading[first.astype(int)] - heading[last.astype(int)])[steady[1:] & steady[:-1]]
    assert turned.max() < 180 + 2  # and a sample of turning


def test_turning_left_is_counter_clockwise_and_right_is_not(recorded):
    _, course, motion, _ = recorded
    names = [ACTIVITIES[index].name for index in course.activity]
    rate_dps = np.rad2deg(np.diff(motion.heading)) * SIMULATION_HZ
    for name, sign in (("turning_left", 1), ("turning_right", -1)):
        bout = names.index(name)
        inside = (motion.time_s[1:] > course.start_s[bout]) & (motion.time_s[1:] < course.stop_s[bout])
        assert sign * rate_dps[inside].mean() == pytest.approx(50, abs=25)


def test_heart_rate_follows_the_load_like_the_difference_equation():
    subject = make_subject(0, np.random.default_rng(1))
    load = np.random.default_rng(2).uniform(0, 1, 100)
    decay, effort, expected = np.exp(-1 / subject.lag_s), 0.3, []
    for value in load:
        effort = decay * effort + (1 - decay) * value
        expected.append(subject.rest_bpm + effort * (subject.top_bpm - subject.rest_bpm))
    np.testing.assert_allclose(heart_rate(subject, load, 1.0, 0.3)[:, 0], expected)


def test_errors_have_the_declared_size_and_vanish_at_factor_zero():
    errors, clean = ERRORS["gyr"], np.zeros((2000, 300))
    noisy = disturb(clean, errors, 2.0, np.random.default_rng(0))
    assert np.diff(noisy, axis=0).std() == pytest.approx(2 * np.sqrt(2) * errors.white, rel=0.02)
    assert noisy.mean(axis=0).std() == pytest.approx(2 * np.hypot(errors.bias, errors.drift / np.sqrt(3)), rel=0.15)
    np.testing.assert_array_equal(disturb(clean, errors, 0.0, np.random.default_rng(0)), clean)


@settings(max_examples=30)
@given(st.floats(0, 0.5), st.integers(1, 40), st.integers(0, 2**31))
def test_losses_are_whole_rows_in_stretches_and_keep_the_share(share, lost_samples, seed):
    values = np.ones((4000, 3))
    lost = np.isnan(lose(values, share, lost_samples, np.random.default_rng(seed)))
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    assert lost[:, 0].mean() == pytest.approx(share, abs=lost_samples / 4000)
    assert lost[:, 0].sum() % lost_samples == 0
    assert not np.isnan(values).any()  # the input is left alone

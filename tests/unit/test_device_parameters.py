"""Device files: what is read, what is refused, and in which words."""

from pathlib import Path

import pytest
import yaml

from nbnmbt.device import parameters
from nbnmbt.device.simulate import plan
from nbnmbt.errors import InputError

DEVICES = Path(__file__).parents[2] / "workflow" / "devices"
SURROGATE = DEVICES / "surrogate.yaml"
CONTROLS = sorted((DEVICES / "controls").glob("*.yaml"))

#: What the text of the paper states; everything else is assumed.
PAPER = {
    "geometry.Ti": 2,
    "geometry.NbN": 40,
    "geometry.SiO2_under": 300,
    "geometry.SiO2_side": 50,
    "geometry.Ti_contact": 10,
    "geometry.Au_contact": 100,
    "magnetism.neel_temperature": 24.4,
    "magnetism.spin_flop_field": 3.0,
    "magnetism.interface_spin_flop_field": 3.0,
    "magnetism.saturation_field": 8.0,
    "channels.Ic0.critical_current": 0.95,
    "channels.Ic1.critical_current": 1.20,
    "channels.Ic2.critical_current": 2.10,
    "channels.Ic3.critical_current": 5.8,
    "channels.Ic0.critical_temperature": 6.0,
    "channels.Ic3.critical_temperature": 10.8,
    "andreev.critical_temperature": 6.0,
    "nbn.transition_temperature": 10.8,
    "grids.mr_temperature": 2,
    "grids.iv_temperature": 2,
    "grids.angle_field": (1, 4, 7, 9),
}


@pytest.fixture
def write(tmp_path):
    """Write a device that builds on the surrogate; returns its path."""

    def writer(text: str, name: str = "mine.yaml") -> Path:
        (tmp_path / "surrogate.yaml").write_text(SURROGATE.read_text(encoding="utf-8"))
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def test_what_is_tagged_paper_is_what_the_paper_states():
    device = parameters.load(SURROGATE)
    values = device.values()
    numbers = {
        key: values[key]
        for key, item in device.sources.items()
        if item.source == "paper" and not isinstance(values[key], bool | str)
    }
    assert numbers == PAPER


def test_every_parameter_has_unit_and_source():
    device = parameters.load(SURROGATE)
    assert set(device.sources) == set(device.values()) - {
        "name", "title", "description", "licence", "citation", "seed"
    }  # fmt: skip
    for item in device.sources.values():
        assert item.source in ("paper", "assumed")
        # where in the paper
        assert item.source == "assumed" or "ection" in item.note or "Fig." in item.note


def test_parameters_cannot_be_changed():
    device = parameters.load(SURROGATE)
    with pytest.raises(AttributeError):
        device.loops.width = 1.0


def test_base_gives_what_a_file_does_not_state(write):
    path = write(
        "base: surrogate\nseed: 3\n"
        "loops:\n  amplitude: {value: 0.01, unit: ohm, source: assumed, note: small}\n"
    )
    mine, base = parameters.load(path), parameters.load(SURROGATE)
    assert mine.name == "mine"
    assert mine.seed == 3
    assert mine.loops.amplitude == 0.01
    assert mine.sources["loops.amplitude"].note == "small"
    different = {key for key, value in mine.values().items() if value != base.values()[key]}
    assert different == {"name", "seed", "loops.amplitude"}


def test_overrides_and_seed():
    device = parameters.load(
        SURROGATE,
        overrides={"channels.Ic0.critical_current": 0.97, "grids.angle_field": [1, 9]},
        seed=5,
    )
    assert device.channels.Ic0.critical_current == 0.97
    assert device.grids.angle_field == (1.0, 9.0)
    assert device.seed == 5
    assert device.sources["channels.Ic0.critical_current"].source == "assumed"
    # the file itself is untouched by an override
    assert parameters.load(SURROGATE).channels.Ic0.critical_current == 0.95


def test_critical_currents_are_stated_at_2_K_whatever_the_temperature_of_the_sweeps():
    # V(I) of a normal channel may well be measured
    warm = parameters.load(SURROGATE, overrides={"grids.iv_temperature": 7.0})
    assert warm.grids.iv_temperature == 7.0
    cold = {"grids.iv_temperature": 1.5, "channels.Ic0.critical_temperature": 1.9}
    with pytest.raises(InputError, match=r"Ic0\.critical_temperature.*expected > 2 K"):
        parameters.load(SURROGATE, overrides=cold)


def test_grids_of_another_device():
    device = parameters.load(CONTROLS[0], grids=DEVICES / "smoke.yaml")
    assert device.grids == parameters.load(DEVICES / "smoke.yaml").grids
    bare = next(path for path in CONTROLS if path.stem == "N16_bare_NbN")
    assert "rt_mnbi2te4" in parameters.load(bare, grids=DEVICES / "smoke.yaml").grids.not_measured


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"channels.Ic9.resistance": 1}, "did you mean 'Ic"),
        ({"channels.Ic0.critical_curent": 1}, "did you mean 'critical_current'"),
        ({"channels.Ic0": 1}, "must name a single parameter"),
        ({"magnetism.coupling": "uniaxal"}, "did you mean 'uniaxial'"),
        ({"andreev.barrier": -1}, "expected >= 0"),
        ({"andreev.barrier": "high"}, "expected a number"),
        ({"andreev.present": 1}, "expected true or false"),
        ({"magnetism.layers": 6.5}, "whole number of layers"),
        ({"magnetism.layers": 1}, "whole number of layers"),
        ({"grids.angle": [[0, 360, 7]]}, "divide the distance"),
        ({"grids.angle": [0, 360, 10]}, r"\[start, stop, step\] in degree"),
        ({"grids.angle_field": []}, "list of numbers in T"),
        ({"magnetism.spin_flop_field": 9}, "before saturation"),
        ({"channels.Ic1.critical_temperature": 1.5}, "normal at the temperature"),
        ({"instruments.voltage_noise": [1e-9]}, "one noise, resolution and gain error each"),
        ({"nonsense": 1}, "allowed are geometry"),
        ({"magnetism.surface": "bulk", "magnetism.layers": 6}, "no bulk under the film"),
        ({"andreev.barrier": 2.5}, "expected <= 2"),
        ({"magnetism.neel_temperature": 5}, "would not be ferromagnetic.*expected > 8.914 K"),
        ({"instruments.voltage_noise": [-1e-9, 0, 0]}, "expected all >= 0 V"),
        ({"instruments.voltage_ranges": [0.12, 0.012, 1.2]}, "ascend.*expected 0.012, 0.12, 1.2"),
        ({"grids.loop_temperature": [0, 2]}, "expected all > 0 K"),
        ({"grids.rt_temperature": [[4, 0, 1]]}, "expected all > 0 K"),
        ({"grids.temperature_map": [[-1, 2, 1]]}, "expected all > 0 K"),
    ],
)
def test_bad_overrides_are_one_sentence(overrides, words):
    with pytest.raises(InputError, match=words) as caught:
        parameters.load(SURROGATE, overrides=overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "surrogate.yaml" in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base: surogate\n", "did you mean 'surrogate'"),
        ("base: surrogate\nlops: {}\n", "lops: unknown key; did you mean 'loops'"),
        ("base: surrogate\nloops: 3\n", "loops: not a section"),
        (
            "base: surrogate\nloops:\n  widht: {value: 1, unit: T, source: assumed}\n",
            "loops.widht: unknown key; did you mean 'width'",
        ),
        ("base: surrogate\nloops:\n  width: 0.05\n", "no unit or source.*unit: T"),
        (
            "base: surrogate\nloops:\n  width: {value: 0.05, source: assumed}\n",
            "loops.width: the unit is missing.*unit: T",
        ),
        (
            "base: surrogate\nloops:\n  width: {value: 0.05, unit: mT, source: assumed}\n",
            "loops.width: wrong unit.*'mT'.*expected T",
        ),
        (
            "base: surrogate\nloops:\n  width: {value: 0.05, unit: T}\n",
            "where does the value come from.*paper or assumed",
        ),
        (
            "base: surrogate\nloops:\n  width: {value: wide, unit: T, source: assumed}\n",
            "loops.width: bad value.*'wide'.*a number in T",
        ),
        (
            "base: surrogate\nloops:\n  width: {value: 0, unit: T, source: assumed}\n",
            "expected > 0 T",
        ),
        (
            "base: surrogate\nloops:\n  law: {value: default, unit: K, source: assumed}\n",
            "this entry has no unit",
        ),
        (
            "base: surrogate\nloops:\n"
            "  width: {value: 0.05, unit: T, source: assumed, note: 2 K, up}\n",
            "loops.width.up: unknown key",
        ),
        ("base: surrogate\nseed: -1\n", "bad seed.*whole number"),
        ("base: surrogate\ntitle: 7\n", "title: not a text"),
        ("base: surrogate\nseed: 1\nseed: 2\n", "line 3: .*given twice"),
        ("base: [surrogate\n", "not valid YAML"),
        ("- 1\n", "not a device"),
        ("seed: 1\n", "the device lacks 'title'"),
        ("base: mine\n", "no such base device.*allowed are surrogate"),
    ],
)
def test_bad_files_are_one_sentence(write, text, words):
    path = write(text)
    with pytest.raises(InputError, match=words) as caught:
        parameters.load(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence


def test_missing_file_and_circle(tmp_path):
    with pytest.raises(InputError, match="no such device file"):
        parameters.load(tmp_path / "absent.yaml")
    (tmp_path / "a.yaml").write_text("base: b\n")
    (tmp_path / "b.yaml").write_text("base: a\n")
    with pytest.raises(InputError, match="circle"):
        parameters.load(tmp_path / "a.yaml")


def test_smoke_differs_in_its_grids_only():
    smoke, base = (parameters.load(DEVICES / f"{n}.yaml") for n in ("smoke", "surrogate"))
    different = {key for key, value in smoke.values().items() if value != base.values()[key]}
    assert {key for key in different if not key.startswith("grids.")} == {"name", "title", "seed"}
    assert {s.measurement for s in plan(smoke)} == {s.measurement for s in plan(base)}


def test_all_controls_are_there():
    numbers = {path.stem[:3] for path in CONTROLS}
    assert numbers == {f"N{n:02d}" for n in range(1, 22)}


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.stem)
def test_control_states_only_its_difference(path):
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert tree["base"] == "surrogate"

    def leaves(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict) and "value" not in value:
                yield from leaves(value, f"{prefix}{key}.")
            elif isinstance(value, dict):
                yield prefix + key

    stated = set(leaves(tree))
    mine, base = parameters.load(path).values(), parameters.load(SURROGATE).values()
    different = {key for key, value in mine.items() if value != base[key]} - {"name", "title"}
    assert different == stated
    assert different

# ruff: noqa: RUF009  (field helpers are meant to be called in class bodies)
"""Parameters of a virtual device: frozen dataclasses with units, filled from YAML.

Every entry of a device file states where it comes from::

    channels:
      Ic0:
        critical_current: {value: 0.95, unit: mA, source: paper, note: section 2.1}

A file may build on another (``base: surrogate``) and then gives only what differs. Numbers can be
overridden from code with dotted names, ``{"channels.Ic0.critical_current": 0.97}``, in the unit of
the parameter. Whatever is wrong (unknown name, missing unit, wrong type, out of bounds) is said in
one sentence with file, key, what was found and what was expected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.physics import magnet

__all__ = [
    "CHANNELS",
    "REFERENCE_TEMPERATURE",
    "Andreev",
    "Anomalies",
    "Broadening",
    "Channel",
    "Channels",
    "DeviceParameters",
    "Geometry",
    "Grids",
    "Instruments",
    "Loops",
    "Magnetism",
    "MnBi2Te4",
    "NbN",
    "Sourced",
    "load",
]

#: The four critical currents, by their name in the paper.
CHANNELS = ("Ic0", "Ic1", "Ic2", "Ic3")
#: Temperature at which the device file states the critical currents, K.
REFERENCE_TEMPERATURE = 2.0

Segments = tuple[tuple[float, float, float], ...]
Numbers = tuple[float, ...]


def quantity(
    unit: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    """Field of a dataclass that is a number with a unit and bounds."""
    return field(metadata={"kind": "number", "unit": unit, "gt": gt, "ge": ge, "lt": lt, "le": le})


def choice(*options: str) -> Any:
    """Field that is one of a few words."""
    return field(metadata={"kind": "choice", "options": options})


def switch() -> Any:
    """Field that is true or false."""
    return field(metadata={"kind": "switch"})


def layers() -> Any:
    """Field that is a number of septuple layers, or null for a thick flake."""
    return field(metadata={"kind": "layers", "unit": "1"})


def numbers(
    unit: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    """Field that is a list of numbers with a common unit and bounds on each of them."""
    return field(metadata={"kind": "numbers", "unit": unit, "gt": gt, "ge": ge, "lt": lt, "le": le})


def segments(unit: str, *, gt: float | None = None) -> Any:
    """Field that is a list of [start, stop, step] with a common unit; joints are not repeated.

    A bound holds for start and stop.
    """
    bounds = {"gt": gt, "ge": None, "lt": None, "le": None}
    return field(metadata={"kind": "segments", "unit": unit, **bounds})


def words() -> Any:
    """Field that is a list of words."""
    return field(metadata={"kind": "words"})


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Layer thicknesses of the stack."""

    Ti: float = quantity("nm", gt=0)
    """Ti buffer between MnBi2Te4 and NbN."""
    NbN: float = quantity("nm", gt=0)
    """NbN film."""
    SiO2_under: float = quantity("nm", gt=0)
    """Thermal oxide below the flake."""
    SiO2_side: float = quantity("nm", gt=0)
    """Oxide against side contacts."""
    Ti_contact: float = quantity("nm", gt=0)
    """Ti of the electrodes."""
    Au_contact: float = quantity("nm", gt=0)
    """Au of the electrodes."""


@dataclass(frozen=True, kw_only=True)
class Magnetism:
    """MnBi2Te4 as a magnet, and how it acts on the superconductor."""

    neel_temperature: float = quantity("K", gt=0, le=100)
    """T_N."""
    neel_spread: float = quantity("K", ge=0, le=5)
    """Standard deviation of T_N over the flake."""
    spin_flop_field: float = quantity("T", gt=0, le=30)
    """B_flop of the bulk at T = 0, field along c."""
    interface_spin_flop_field: float = quantity("T", gt=0, le=30)
    """B_flop of the layers under the superconductor."""
    saturation_field: float = quantity("T", gt=0, le=40)
    """B_sat at T = 0, field along c."""
    spin_flop_spread: float = quantity("T", ge=0, le=1)
    """Standard deviation of B_flop (domains, thickness)."""
    spin_flop_hysteresis: float = quantity("1", ge=0, le=1)
    """How far a sweep overruns B_flop: 0 thermodynamic, 1 switching at the spinodals."""
    order_parameter: str = choice("mf", "beta")
    """m(T) under the film: Brillouin mean field, or (1 - T/T_N)^beta as in R(T) of the flake."""
    interlayer: str = choice("antiferromagnetic", "ferromagnetic")
    """Sign of the exchange between septuple layers."""
    layers: int | None = layers()
    """Septuple layers of the flake; null: thick."""
    surface: str = choice("open", "bulk")
    """Moments under the film: those of a chain that ends there, or the bulk law to the surface."""
    coupling: str = choice("uniaxial", "exchange_avg")
    """Pair breaking by the c-axis exchange (sum w m_z^2) or by the mean exchange field (h^2)."""
    proximity_depth: float = quantity("nm", gt=0, le=100)
    """xi_MBT, how deep the superconducting wave function sees the layers."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One superconducting channel."""

    present: bool = switch()
    """Whether the device has it."""
    critical_current: float = quantity("mA", gt=0)
    """Ic at 2 K without field."""
    critical_temperature: float = quantity("K", gt=0)
    """Tc that the bare Tc and the full exchange pair breaking give together."""
    exchange_pair_breaking: float = quantity("1", ge=0, lt=0.5)
    """alpha_ex over Delta00 for moments along c at T = 0."""
    diffusivity: float = quantity("cm^2/s", gt=0)
    """D."""
    effective_thickness: float = quantity("nm", gt=0)
    """d_eff in a parallel field."""
    parallel_law: str = choice("thin film", "surface sheath")
    """Orbital pair breaking in a parallel field: D e^2 B^2 d^2/6 hbar, or D e B/1.69."""
    resistance: float = quantity("ohm", gt=0)
    """R_k above Ic."""
    temperature_law: str = choice(
        "usadel",
        "bardeen",
        "kupriyanov-lukichev",
        "two-fluid",
        "ambegaokar-baratoff",
        "ko1",
        "ko2",
        "ginzburg-landau",
        "linear",
        "d-wave",
        "long-sns",
    )
    """Usadel depairing, or (controls) another law in t = T/Tc."""
    switching: str = choice("thermal RSJ", "phase slip")
    """Rounded by thermal phase diffusion, or a phase-slip (hot-spot) step with a spread of Ic."""
    excess_fraction: float = quantity("1", ge=0, le=1)
    """beta of a phase-slip step: V = R (I - beta Ic) above Ic."""
    critical_current_spread: float = quantity("1", gt=0, le=0.2)
    """Standard deviation of Ic over Ic; of a phase-slip step."""


@dataclass(frozen=True, kw_only=True)
class Channels:
    """The four channels, lowest critical current first."""

    Ic0: Channel
    """MnBi2Te4 (assignment of the paper)."""
    Ic1: Channel
    """Ti buffer."""
    Ic2: Channel
    """Suppressed NbN."""
    Ic3: Channel
    """NbN film."""


@dataclass(frozen=True, kw_only=True)
class Andreev:
    """Contact between MnBi2Te4 and the superconductor."""

    present: bool = switch()
    """Whether the device has it."""
    ohmic: bool = switch()
    """Replace Andreev reflection by its normal resistance."""
    resistance: float = quantity("ohm", gt=0)
    """R_AR, normal resistance."""
    barrier: float = quantity("1", ge=0, le=2)
    """Z of Blonder, Tinkham and Klapwijk; V(I) of the contact is tabulated up to 2."""
    polarisation: float = quantity("1", ge=0, le=1)
    """P."""
    critical_temperature: float = quantity("K", gt=0)
    """T_AR, where its gap closes without field."""
    exchange_share: float = quantity("1", ge=0, le=1)
    """Share of the change of exchange pair breaking with field that its gap feels."""


@dataclass(frozen=True, kw_only=True)
class MnBi2Te4:
    """Normal-state transport of the flake."""

    present: bool = switch()
    """Whether the device has it."""
    resistance: float = quantity("ohm", gt=0)
    """R_M, scale of the resistance."""
    order_amplitude: float = quantity("1", ge=0, le=1)
    """b: part of R that freezes out with m^2."""
    fluctuation_amplitude: float = quantity("1", ge=0, le=1)
    """c_+: drop above T_N."""
    fluctuation_width: float = quantity("1", gt=0)
    """eps_0: reduced temperature over which it drops."""
    slope: float = quantity("1/K", ge=-0.1, le=0.1)
    """a: phonons."""
    order_exponent: float = quantity("1", gt=0, le=1)
    """beta of m(T) in R(T)."""
    alignment_magnetoresistance: float = quantity("1", ge=0, lt=1)
    """A_g: relative drop of R at full alignment."""
    quadratic_magnetoresistance: float = quantity("1/T^2", ge=-1, le=1)
    """kappa."""
    hall_admixture: float = quantity("1/T", ge=-1, le=1)
    """Odd part of R(B)/R(0) from misaligned contacts."""


@dataclass(frozen=True, kw_only=True)
class NbN:
    """Resistive transition of the film."""

    transition_temperature: float = quantity("K", gt=0)
    """T50: R is half of R_n."""
    sheet_resistance: float = quantity("ohm", gt=0)
    """R per square, sets the paraconductivity."""
    coherence_length: float = quantity("nm", gt=0)
    """xi_GL."""
    barrier: float = quantity("T", gt=0)
    """C of the Ambegaokar-Halperin broadening."""
    field_offset: float = quantity("T", gt=0)
    """B_0."""
    fluctuation_floor: float = quantity("1", gt=0)
    """Smallest epsilon of the paraconductivity."""
    angular_anisotropy: float = quantity("1", ge=0, lt=1)
    """Relative drop of Ic3 in bare NbN at the field scale, field across the easy direction."""


@dataclass(frozen=True, kw_only=True)
class Broadening:
    """Noise temperature of the channels: rounding of the V(I) steps."""

    noise_temperature: float = quantity("K", gt=0)
    """T_n without field."""
    field_scale: float = quantity("T", gt=0)
    """Field at which the coefficients apply."""
    isotropic: float = quantity("1", ge=0)
    """b0: growth of T_n with the field, whatever its direction."""
    two_fold: float = quantity("1", ge=0)
    """b2: growth as sin^2(theta - theta_I) in an in-plane field."""
    current_direction: float = quantity("degree", ge=-180, le=180)
    """theta_I."""


@dataclass(frozen=True, kw_only=True)
class Loops:
    """Interfacial hysteresis."""

    coercive_field: float = quantity("T", ge=0, le=1)
    """B_c at T = 0."""
    softening: float = quantity("1", ge=0, le=1)
    """Coefficient of sqrt(T/T_N) in B_c."""
    law: str = choice("default", "kneller")
    """Temperature law of B_c."""
    amplitude: float = quantity("ohm", ge=0)
    """Delta R at T = 0."""
    width: float = quantity("T", gt=0)
    """w of the switching."""
    square_fraction: float = quantity("1", ge=0, le=1)
    """s: 0 butterfly, 1 square."""


@dataclass(frozen=True, kw_only=True)
class Anomalies:
    """What the paper's device should not have; controls plant them."""

    two_fold: float = quantity("1", ge=0, lt=0.5)
    """Relative amplitude of cos 2 theta in Ic0-Ic2 at `Broadening.field_scale`; goes as B^2."""
    one_fold: float = quantity("1", ge=0, lt=0.5)
    """Relative amplitude of cos theta in Ic0-Ic2, at any field."""
    in_plane_step: float = quantity("1", gt=-1, lt=1)
    """Relative step of Ic0-Ic2 in an in-plane field."""
    in_plane_step_field: float = quantity("T", gt=0)
    """Where it sits."""
    tilt: float = quantity("degree", ge=0, lt=45)
    """Angle between the plane of rotation and the sample plane."""
    tilt_axis: float = quantity("degree", ge=-180, le=180)
    """Angle theta at which the tilt shows fully."""
    swap_orientations: bool = switch()
    """Files of a V(I) field sweep or rotation carry the other orientation's label."""
    shuffle: bool = switch()
    """Permute voltage and resistance within every file."""


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """Instrument artefacts."""

    point_period: float = quantity("s", gt=0)
    """Time per V(I) point."""
    current_noise: float = quantity("A", ge=0)
    """Rms noise of the source."""
    current_step: float = quantity("A", ge=0)
    """Programming resolution of the source."""
    current_resolution: float = quantity("A", ge=0)
    """Readback resolution of the source."""
    current_offset: float = quantity("A", ge=-1e-5, le=1e-5)
    """Readback minus true current."""
    current_gain_error: float = quantity("1", ge=-0.01, le=0.01)
    """Relative error of the readback."""
    voltage_ranges: Numbers = numbers("V", gt=0)
    """Upper ends of the voltmeter ranges, ascending."""
    voltage_noise: Numbers = numbers("V", ge=0)
    """Rms noise in each range."""
    voltage_resolution: Numbers = numbers("V", ge=0)
    """Last digit in each range."""
    voltage_gain_error: Numbers = numbers("1", ge=-0.01, le=0.01)
    """Relative gain error of each range: steps where the range switches."""
    thermal_voltage: float = quantity("V", ge=0)
    """Rms thermal EMF, new for each sweep."""
    thermal_drift: float = quantity("V/s", ge=0)
    """Rms drift of the thermal EMF."""
    temperature_stability: float = quantity("1", ge=0, le=0.1)
    """Relative rms instability at and below 10 K."""
    temperature_stability_above_10K: float = quantity("1", ge=0, le=0.1)
    """Relative rms instability above 10 K."""
    temperature_correlation: float = quantity("s", gt=0)
    """Correlation time of the instability."""
    thermometer_noise: float = quantity("K", ge=0)
    """Rms noise of a reading."""
    thermometer_gain_error: float = quantity("1", ge=-0.05, le=0.05)
    """Relative calibration error: reading over truth minus 1."""
    field_noise: float = quantity("T", ge=0)
    """Rms noise of a field reading."""
    remanence: float = quantity("T", ge=-0.1, le=0.1)
    """True minus reported field at zero (flux trapped in the magnet), in swept measurements."""
    static_remanence: float = quantity("T", ge=-0.1, le=0.1)
    """The same in measurements at constant field."""
    remanence_scale: float = quantity("T", gt=0)
    """Field at which half of it is gone."""
    field_rate: float = quantity("T/s", gt=0)
    """Sweep rate of R(B)."""
    field_delay: float = quantity("s", ge=0)
    """Delay of the true field behind the reported one while sweeping."""
    rotator_backlash: float = quantity("degree", ge=0, lt=10)
    """True angle lags the reported one by this much."""
    rotation_drift: float = quantity("K", ge=0)
    """Amplitude of a one-fold temperature drift with the rotator angle, unseen by the reading."""
    resistance_noise: float = quantity("1", ge=0, le=0.1)
    """Relative rms error of a resistance (mean of all readings)."""
    resistance_floor: float = quantity("ohm", ge=0)
    """Absolute rms error of a resistance."""
    readings: float = quantity("1", ge=2)
    """Readings averaged for one resistance."""
    excitation: float = quantity("uA", gt=0)
    """Current of the resistance measurements."""
    thermal_resistance: float = quantity("K/W", ge=0)
    """R_th between mesa and substrate at the bath temperature 2 K; 0: no self-heating."""
    thermal_exponent: float = quantity("1", ge=1, le=6)
    """n in P = (T_e^n - T^n)/(n R_th 2^(n-1)): heat carried by the oxide."""


@dataclass(frozen=True, kw_only=True)
class Grids:
    """What is measured where."""

    rt_temperature: Segments = segments("K", gt=0)
    """rt_*."""
    mr_field: Segments = segments("T")
    """mr_*, in the order of the sweep."""
    mr_temperature: float = quantity("K", gt=0)
    """mr_*."""
    iv_temperature: float = quantity("K", gt=0)
    """All V(I) at one temperature."""
    spectrum_current: Segments = segments("mA")
    """iv_interface, iv_mnbi2te4."""
    nbn_current: Segments = segments("mA")
    """iv_nbn."""
    temperature_map: Segments = segments("K", gt=0)
    """Temperatures of iv_temperature."""
    temperature_map_current: Segments = segments("mA")
    """Currents of iv_temperature."""
    field_map: Segments = segments("T")
    """Fields of iv_out_of_plane and iv_in_plane."""
    field_map_current: Segments = segments("mA")
    """Currents of iv_out_of_plane and iv_in_plane."""
    angle_field: Numbers = numbers("T")
    """Fields of iv_angle."""
    angle: Segments = segments("degree")
    """Angles of iv_angle."""
    angle_current: Segments = segments("mA")
    """Currents of iv_angle."""
    nbn_angle_field: Numbers = numbers("T")
    """Fields of iv_angle_nbn."""
    nbn_angle: Segments = segments("degree")
    """Angles of iv_angle_nbn."""
    nbn_angle_current: Segments = segments("mA")
    """Currents of iv_angle_nbn."""
    loop_temperature: Numbers = numbers("K", gt=0)
    """Temperatures of loops_interface."""
    loop_field: Segments = segments("T")
    """One branch of a loop, upwards; the other one is its mirror image in time."""
    not_measured: tuple[str, ...] = words()
    """Measurements that are left out."""


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """Where a parameter comes from."""

    unit: str
    source: str
    note: str


@dataclass(frozen=True, kw_only=True)
class DeviceParameters:
    """Everything about one virtual device."""

    name: str
    """Sample name: the stem of the file."""
    title: str
    description: str
    licence: str
    citation: str
    seed: int
    """Seed of all instrument noise."""
    geometry: Geometry
    magnetism: Magnetism
    channels: Channels
    andreev: Andreev
    mnbi2te4: MnBi2Te4
    nbn: NbN
    broadening: Broadening
    loops: Loops
    anomalies: Anomalies
    instruments: Instruments
    grids: Grids
    sources: Mapping[str, Sourced] = field(default_factory=dict, metadata={"kind": "hidden"})
    """Dotted parameter name -> unit, source, note."""

    def values(self) -> dict[str, Any]:
        """All parameters as one flat mapping from dotted names to plain values."""
        return _flatten(self)


SECTIONS: dict[str, type] = {
    "geometry": Geometry,
    "magnetism": Magnetism,
    "channels": Channels,
    "andreev": Andreev,
    "mnbi2te4": MnBi2Te4,
    "nbn": NbN,
    "broadening": Broadening,
    "loops": Loops,
    "anomalies": Anomalies,
    "instruments": Instruments,
    "grids": Grids,
}
TEXTS = ("title", "description", "licence", "citation")
_LEAF_KEYS = ("value", "unit", "source", "note")
_SOURCES = ("paper", "assumed")


def _flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in dataclasses.fields(node):
        if item.metadata.get("kind") == "hidden":
            continue
        value = getattr(node, item.name)
        if dataclasses.is_dataclass(value):
            out.update(_flatten(value, f"{prefix}{item.name}."))
        else:
            out[prefix + item.name] = value
    return out


# --- loading ----------------------------------------------------------------------------------


def load(
    path: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    grids: str | Path | None = None,
) -> DeviceParameters:
    """Read a device file.

    Parameters
    ----------
    path : path
        YAML file; the sample name is its stem.
    overrides : mapping, optional
        Dotted parameter name -> value in the parameter's unit; replaces the file's value.
    seed : int, optional
        Replaces the file's seed.
    grids : path, optional
        Another device file, whose grids replace the file's (what is not measured stays so).

    Returns
    -------
    DeviceParameters

    Raises
    ------
    InputError
        One sentence with file, key, what was found and what was expected.
    """
    path = Path(path)
    tree = _tree(path, ())
    if grids is not None:
        _regrid(tree, _tree(Path(grids), ()))
    missing = [key for key in (*TEXTS, "seed", *SECTIONS) if key not in tree]
    if missing:
        raise _wrong(
            f"the device lacks {', '.join(repr(key) for key in missing)}",
            file=path,
            advice="state them, or build on a complete device with 'base: surrogate'",
        )
    number = tree["seed"] if seed is None else seed
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _wrong(
            "bad seed", file=path, key="seed", found=number, expected="a whole number >= 0"
        )
    texts = {}
    for key in TEXTS:
        if not isinstance(tree[key], str) or not tree[key].strip():
            raise _wrong(
                "not a text", file=path, key=key, found=tree[key], expected="one or more words"
            )
        texts[key] = " ".join(tree[key].split())
    _apply(tree, overrides or {}, path)
    sources: dict[str, Sourced] = {}
    sections = {
        name: _section(cls, tree[name], name, path, sources) for name, cls in SECTIONS.items()
    }
    device = DeviceParameters(
        name=path.stem, seed=number, **texts, **sections, sources=MappingProxyType(sources)
    )
    _check_together(device, path)
    return device


def _regrid(tree: dict[str, Any], other: dict[str, Any]) -> None:
    """Take the grids of another device, but not its list of what is left out."""
    kept = tree.get("grids", {}).get("not_measured")
    tree["grids"] = dict(other.get("grids", {}))
    if kept is not None:
        tree["grids"]["not_measured"] = kept


def _tree(path: Path, visited: tuple[Path, ...]) -> dict[str, Any]:
    """Tree of a file with its bases merged in; leaves are {value, unit, source, note}."""
    if not path.is_file():
        raise _wrong("there is no such device file", file=path)
    if path.resolve() in visited:
        raise _wrong("devices build on each other in a circle", file=path, key="base")
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _wrong(
            f"not valid YAML: {error.problem}",
            file=path,
            line=None if mark is None else mark.line + 1,
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(f"not valid YAML: {error}", file=path) from None
    if not isinstance(tree, dict):
        raise _wrong(
            "not a device", file=path, found=type(tree).__name__, expected="keys and values"
        )
    known = ("base", *TEXTS, "seed", *SECTIONS)
    for key in tree:
        if key not in known:
            raise _wrong(
                "unknown key", file=path, key=str(key), advice=did_you_mean(str(key), known)
            )
    _check_shape(tree, path)
    base = tree.pop("base", None)
    if base is None:
        return tree
    for folder in (path.parent, path.parent.parent):
        candidate = folder / f"{base}.yaml"
        if candidate.is_file() and candidate.resolve() != path.resolve():
            return _merge(_tree(candidate, (*visited, path.resolve())), tree)
    names = {p.stem for f in (path.parent, path.parent.parent) for p in f.glob("*.yaml")}
    names = sorted(names - {path.stem})
    raise _wrong(
        "there is no such base device",
        file=path,
        key="base",
        found=base,
        advice=did_you_mean(str(base), names) if names else None,
    )


def _wrong(problem: str, *, key: str | None = None, **details: Any) -> InputError:
    return InputError(problem if key is None else f"{key}: {problem}", **details)


class _StrictLoader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice and reads 1e-4 as a number."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in keys:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice", key_node.start_mark
            )
        keys.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _is_leaf(node: Any) -> bool:
    return isinstance(node, dict) and "value" in node


def _fields(cls: type) -> dict[str, dataclasses.Field]:
    return {item.name: item for item in dataclasses.fields(cls)}


def _check_shape(tree: dict[str, Any], path: Path) -> None:
    """Names, nesting and leaf keys of one file, before it is merged with its base."""
    for name, cls in SECTIONS.items():
        if name in tree:
            _check_node(cls, tree[name], name, path)


def _check_node(cls: type, node: Any, key: str, path: Path) -> None:
    if not isinstance(node, dict):
        raise _wrong(
            "not a section", file=path, key=key, found=node, expected="names with their values"
        )
    known = _fields(cls)
    for name, child in node.items():
        dotted = f"{key}.{name}"
        if name not in known:
            raise _wrong(
                "unknown key", file=path, key=dotted, advice=did_you_mean(str(name), known)
            )
        if cls is Channels:
            _check_node(Channel, child, dotted, path)
        else:
            _check_leaf(known[name], child, dotted, path)


def _check_leaf(item: dataclasses.Field, leaf: Any, key: str, path: Path) -> None:
    meta = item.metadata
    unit = meta.get("unit")
    example = "{value: ..., " + (f"unit: {unit}, " if unit else "") + "source: assumed}"
    if not _is_leaf(leaf):
        raise _wrong(
            "the value has no unit or source",
            file=path,
            key=key,
            found=leaf,
            expected=example,
        )
    for name in leaf:
        if name not in _LEAF_KEYS:
            raise _wrong(
                "unknown key",
                file=path,
                key=f"{key}.{name}",
                advice=did_you_mean(str(name), _LEAF_KEYS),
            )
    if unit is not None and "unit" not in leaf:
        raise _wrong("the unit is missing", file=path, key=key, expected=f"unit: {unit}")
    # YAML reads `unit: 1` as a number
    if unit is not None and str(leaf["unit"]) != unit:
        raise _wrong("wrong unit", file=path, key=key, found=leaf["unit"], expected=unit)
    if unit is None and "unit" in leaf:
        raise _wrong(
            "this entry has no unit", file=path, key=key, found=leaf["unit"], expected=example
        )
    source = leaf.get("source")
    if source not in _SOURCES:
        raise _wrong(
            "where does the value come from?",
            file=path,
            key=f"{key}.source",
            found=source,
            expected="paper or assumed",
        )
    if not isinstance(leaf.get("note", ""), str):
        raise _wrong("not a text", file=path, key=f"{key}.note", found=leaf["note"])
    _convert(item, leaf["value"], key, path)


def _convert(item: dataclasses.Field, value: Any, key: str, path: Path | None) -> Any:
    """Check one value against its field and return it in its final type."""

    def wrong(expected: str, advice: str | None = None) -> InputError:
        return _wrong(
            "bad value", file=path, key=key, found=value, expected=expected, advice=advice
        )

    meta = item.metadata
    kind = meta["kind"]
    if kind == "number":
        number = _number(value)
        if number is None:
            raise wrong(f"a number{_in(meta)}")
        bound = _violated(number, meta)
        if bound is not None:
            raise wrong(f"{bound}{_of(meta)}")
        return number
    if kind == "choice":
        if value not in meta["options"]:
            options = meta["options"]
            raise wrong(f"one of {', '.join(options)}", did_you_mean(str(value), options))
        return value
    if kind == "switch":
        if not isinstance(value, bool):
            raise wrong("true or false")
        return value
    if kind == "layers":
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 40:
            raise wrong("null, or a whole number of layers from 2 to 40")
        return value
    if kind == "words":
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise wrong("a list of names")
        return tuple(value)
    if kind == "numbers":
        if not isinstance(value, list | tuple) or not value:
            raise wrong(f"a list of numbers{_in(meta)}")
        out = tuple(_number(v) for v in value)
        if any(v is None for v in out):
            raise wrong(f"a list of numbers{_in(meta)}")
        bound = next(filter(None, (_violated(v, meta) for v in out)), None)
        if bound is not None:
            raise wrong(f"all {bound}{_of(meta)}")
        return out
    if not isinstance(value, list | tuple) or not value:
        raise wrong(f"a list of [start, stop, step]{_in(meta)}")
    rows = []
    for row in value:
        entries = (
            [_number(v) for v in row] if isinstance(row, list | tuple) and len(row) == 3 else [None]
        )
        if any(v is None for v in entries):
            raise wrong(f"a list of [start, stop, step]{_in(meta)}")
        start, stop, step = entries
        count = abs(stop - start) / step if step > 0 else 0.0
        if step <= 0 or abs(count - round(count)) > 1e-6 or round(count) < 1:
            raise wrong("steps > 0 that divide the distance from start to stop")
        bound = _violated(min(start, stop), meta)
        if bound is not None:
            raise wrong(f"all {bound}{_of(meta)}")
        rows.append((start, stop, step))
    return tuple(rows)


def _violated(number: float, meta: Mapping[str, Any]) -> str | None:
    """Return the bound that a number breaks, in words."""
    bounds = {"gt": (">", number.__gt__), "ge": (">=", number.__ge__)}
    bounds |= {"lt": ("<", number.__lt__), "le": ("<=", number.__le__)}
    for name, (sign, holds) in bounds.items():
        if meta[name] is not None and not holds(float(meta[name])):
            return f"{sign} {meta[name]:g}"
    return None


def _in(meta: Mapping[str, Any]) -> str:
    return "" if meta.get("unit", "1") == "1" else f" in {meta['unit']}"


def _of(meta: Mapping[str, Any]) -> str:
    return "" if meta.get("unit", "1") == "1" else f" {meta['unit']}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") else None


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict) and not _is_leaf(value):
            out[key] = _merge(out[key], value)
        else:
            out[key] = value
    return out


def _apply(tree: dict[str, Any], overrides: Mapping[str, Any], path: Path) -> None:
    """Put dotted overrides into the tree, keeping unit and marking the source."""
    for dotted, value in overrides.items():
        node: Any = tree
        parts = dotted.split(".")
        for depth, part in enumerate(parts):
            if not isinstance(node, dict) or part not in node or _is_leaf(node):
                options = list(node) if isinstance(node, dict) and not _is_leaf(node) else []
                if depth == 0:
                    options = list(SECTIONS)
                raise _wrong(
                    "unknown parameter in overrides",
                    file=path,
                    key=dotted,
                    advice=did_you_mean(part, options) if options else None,
                )
            if depth == len(parts) - 1:
                if not _is_leaf(node[part]):
                    raise _wrong(
                        "an override must name a single parameter",
                        file=path,
                        key=dotted,
                        advice=f"for instance {dotted}.{next(iter(node[part]))}"
                        if isinstance(node[part], dict) and node[part]
                        else None,
                    )
                leaf = node[part]
                node[part] = {**leaf, "value": value, "source": "assumed", "note": "override"}
            else:
                # never write into a tree that the base shares
                node[part] = dict(node[part]) if isinstance(node[part], dict) else node[part]
                node = node[part]


def _section(cls: type, node: Any, key: str, path: Path, sources: dict[str, Sourced]) -> Any:
    known = _fields(cls)
    values: dict[str, Any] = {}
    for name, item in known.items():
        dotted = f"{key}.{name}"
        if not isinstance(node, dict) or name not in node:
            raise _wrong(
                "the device lacks a parameter",
                file=path,
                key=dotted,
                expected=f"a value{_in(item.metadata)}",
            )
        if cls is Channels:
            values[name] = _section(Channel, node[name], dotted, path, sources)
            continue
        leaf = node[name]
        _check_leaf(item, leaf, dotted, path)
        values[name] = _convert(item, leaf["value"], dotted, path)
        sources[dotted] = Sourced(
            unit=item.metadata.get("unit", ""), source=leaf["source"], note=leaf.get("note", "")
        )
    return cls(**values)


def _check_together(device: DeviceParameters, path: Path) -> None:
    """What no single value can violate."""
    magnetism = device.magnetism
    for name in ("spin_flop_field", "interface_spin_flop_field"):
        if not getattr(magnetism, name) < magnetism.saturation_field:
            raise _wrong(
                "the spin flop must come before saturation",
                file=path,
                key=f"magnetism.{name}",
                found=f"{getattr(magnetism, name):g} T",
                expected=f"< {magnetism.saturation_field:g} T",
            )
    if magnetism.spin_flop_hysteresis > 0 and magnetism.spin_flop_spread == 0:
        raise _wrong(
            "a flop with hysteresis needs a spread of flop fields",
            file=path,
            key="magnetism.spin_flop_spread",
            found="0 T",
            expected="> 0 T",
        )
    if magnetism.surface == "bulk" and magnetism.layers is not None:
        raise _wrong(
            "a thin flake has no bulk under the film",
            file=path,
            key="magnetism.surface",
            found=f"bulk, with layers: {magnetism.layers}",
            expected="open, or layers: null",
        )
    # the two-sublattice mean field takes each layer for a ferromagnet of its own
    least = max(
        magnet.lowest_ordering_temperature(
            spin_flop_field=getattr(magnetism, name), saturation_field=magnetism.saturation_field
        )
        for name in ("spin_flop_field", "interface_spin_flop_field")
    )
    if magnetism.neel_temperature <= least:
        raise _wrong(
            "too low for these fields: the layers themselves would not be ferromagnetic",
            file=path,
            key="magnetism.neel_temperature",
            found=f"{magnetism.neel_temperature:g} K",
            expected=f"> {least:.4g} K",
        )
    instruments = device.instruments
    lengths = {
        name: len(getattr(instruments, name))
        for name in (
            "voltage_ranges",
            "voltage_noise",
            "voltage_resolution",
            "voltage_gain_error",
        )
    }
    if len(set(lengths.values())) != 1:
        raise _wrong(
            "the voltmeter ranges need one noise, resolution and gain error each",
            file=path,
            key="instruments.voltage_ranges",
            found=", ".join(f"{k}: {v}" for k, v in lengths.items()),
        )
    ranges = instruments.voltage_ranges
    if list(ranges) != sorted(set(ranges)):
        raise _wrong(
            "the voltmeter ranges must ascend",
            file=path,
            key="instruments.voltage_ranges",
            found=", ".join(f"{value:g}" for value in ranges),
            expected=", ".join(f"{value:g}" for value in sorted(set(ranges))),
        )
    for name in CHANNELS:
        channel = getattr(device.channels, name)
        if channel.critical_temperature <= REFERENCE_TEMPERATURE and channel.present:
            raise _wrong(
                "the channel is normal at the temperature its critical current is given for",
                file=path,
                key=f"channels.{name}.critical_temperature",
                found=f"{channel.critical_temperature:g} K",
                expected=f"> {REFERENCE_TEMPERATURE:g} K",
            )

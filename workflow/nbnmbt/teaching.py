r"""The virtual device with its physics on knobs, for notebooks/device.ipynb.

This is about *why* the features of the paper can arise, not about what a sample shows: it evaluates
the model that makes the synthetic sample, hence it knows everything that was planted. No analysis
uses it.

The one slow ingredient is the open chain of layer moments. Its proximity average
:math:`r = \sum_n w_n m_{z,n}^2` is tabulated over the discrete settings of the knobs; all the rest
is evaluated afresh at each move::

    python -m nbnmbt.teaching        # makes exchange_table.csv again, half a minute
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from nbnmbt.device.model import Model
from nbnmbt.device.parameters import CHANNELS, load
from nbnmbt.explore import App
from nbnmbt.paths import repo_root
from nbnmbt.physics import magnet
from nbnmbt.physics.magnet import Magnet, Orientation
from nbnmbt.plotting import style

if TYPE_CHECKING:
    from nbnmbt.device.parameters import DeviceParameters

__all__ = [
    "ANISOTROPY_FIELDS",
    "EXCHANGE_FIELD",
    "LAYERS",
    "PROXIMITY_DEPTHS",
    "TABLE_PATH",
    "Bench",
    "Knobs",
    "TabulatedModel",
    "build_table",
    "curves_figure",
    "device_of",
    "magnet_of",
    "moments_figure",
    "steepest_rise",
]

Array = NDArray[np.float64]

#: Settings of the knob B_K, T; the middle one is the surrogate's, B_flop = 3 T and B_sat = 8 T.
ANISOTROPY_FIELDS = (0.5, 0.8, 1.125, 1.5, 2.0)
#: Interlayer exchange field B_E at all of them, T.
EXCHANGE_FIELD = 4.5625
#: Septuple layers; None: a thick flake.
LAYERS = (2, 3, 4, 5, 6, 7, 8, 10, None)
#: Proximity depth xi, nm.
PROXIMITY_DEPTHS = (1.0, 2.5, 5.0, 10.0)
#: Standard deviation of the spin-flop field in the table, T.
FLOP_SPREAD = 0.15
ORIENTATIONS: tuple[Orientation, ...] = ("out-of-plane", "in-plane")

TABLE_PATH = Path(__file__).with_name("exchange_table.csv")
_TABLE_FIELDS = np.arange(0, 9.05, 0.1)


def magnet_of(anisotropy_field: float, ordering_temperature: float = 24.4) -> Magnet:
    """Return the layered magnet with the given B_K and the common B_E.

    Parameters
    ----------
    anisotropy_field : float
        B_K, T.
    ordering_temperature : float
        K.
    """
    return Magnet(
        anisotropy_field=anisotropy_field,
        exchange_field=EXCHANGE_FIELD,
        ordering_temperature=ordering_temperature,
    )


# --------------------------------------------------------------------------------------- the table
def _settings() -> Iterator[tuple[float, int | None, float, Orientation]]:
    return itertools.product(ANISOTROPY_FIELDS, LAYERS, PROXIMITY_DEPTHS, ORIENTATIONS)


def build_table(
    settings: Iterable[tuple[float, int | None, float, Orientation]] | None = None,
) -> dict[tuple[float, int | None, float, Orientation], Array]:
    """Compute the proximity average at the settings of the knobs.

    Parameters
    ----------
    settings : iterable of (B_K, layers, xi, orientation), optional
        All combinations when not given.

    Returns
    -------
    dict
        Setting -> r(B) between 0 and 1, on 0, 0.1, ... 9 T.
    """
    return {
        (b_k, layers, xi, orientation): magnet.surface_average(
            _TABLE_FIELDS,
            magnet_of(b_k),
            orientation,
            xi=xi,
            flop_spread=FLOP_SPREAD,
            layers=layers,
        )
        for b_k, layers, xi, orientation in (settings or _settings())
    }


def write_table(path: Path = TABLE_PATH) -> Path:
    """Write `build_table` as CSV in units of 1e-4."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["B_K_T", "layers", "xi_nm", "orientation", "r_1e-4_at_0_to_9_T_by_0.1"])
        for (b_k, layers, xi, orientation), r in build_table().items():
            numbers = " ".join(str(round(1e4 * value)) for value in r)
            writer.writerow([b_k, layers or "thick", xi, orientation, numbers])
    return path


@lru_cache(maxsize=1)
def _table() -> dict[tuple[float, int | None, float, Orientation], PchipInterpolator]:
    found = {}
    with TABLE_PATH.open(encoding="utf-8", newline="") as stream:
        for b_k, layers, xi, orientation, numbers in itertools.islice(csv.reader(stream), 1, None):
            key = (float(b_k), None if layers == "thick" else int(layers), float(xi), orientation)
            values = np.array(numbers.split(), dtype=float) / 1e4
            found[key] = PchipInterpolator(_TABLE_FIELDS, values)
    return found


# --------------------------------------------------------------------------------------- the knobs
@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Settings of the bench; the defaults are the surrogate's.

    Attributes
    ----------
    exchange_pair_breaking : float
        alpha_ex/Delta00 of channel 0; the other channels keep their proportions to it.
    barrier : float
        Z of the Andreev contact.
    polarisation : float
        P of the Andreev contact.
    noise_temperature : float
        T_n, K.
    anisotropy_field : float
        B_K, T; one of `ANISOTROPY_FIELDS`.
    layers : int or None
        Septuple layers; one of `LAYERS`.
    proximity_depth : float
        xi, nm; one of `PROXIMITY_DEPTHS`.
    temperature : float
        T, K.
    field : float
        B, T, at which V(I) is shown.
    orientation : {"out-of-plane", "in-plane"}
        Of that field.
    """

    exchange_pair_breaking: float = 0.05
    barrier: float = 0.3
    polarisation: float = 0.6
    noise_temperature: float = 100.0
    anisotropy_field: float = 1.125
    layers: int | None = None
    proximity_depth: float = 5.0
    temperature: float = 2.0
    field: float = 0.0
    orientation: Orientation = "out-of-plane"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("anisotropy_field", ANISOTROPY_FIELDS),
            ("layers", LAYERS),
            ("proximity_depth", PROXIMITY_DEPTHS),
            ("orientation", ORIENTATIONS),
        ):
            if getattr(self, name) not in allowed:
                words = ", ".join(map(str, allowed))
                raise ValueError(f"{name} must be one of {words}, found {getattr(self, name)!r}")

    def differences(self) -> dict[str, Any]:
        """Return the knobs that are not at their default."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) != item.default
        }


def device_of(knobs: Knobs, base: DeviceParameters | None = None) -> DeviceParameters:
    """Return the surrogate with the continuous knobs turned.

    Parameters
    ----------
    knobs : Knobs
        The settings.
    base : DeviceParameters, optional
        The device they are turned on; the surrogate when not given.
    """
    base = base or surrogate()
    scale = knobs.exchange_pair_breaking / base.channels.Ic0.exchange_pair_breaking
    channels = {}
    for name in CHANNELS:
        channel = getattr(base.channels, name)
        channels[name] = replace(
            channel, exchange_pair_breaking=scale * channel.exchange_pair_breaking
        )
    return replace(
        base,
        channels=replace(base.channels, **channels),
        andreev=replace(base.andreev, barrier=knobs.barrier, polarisation=knobs.polarisation),
        broadening=replace(base.broadening, noise_temperature=knobs.noise_temperature),
    )


@lru_cache(maxsize=1)
def surrogate() -> DeviceParameters:
    """Return the parameters of the default device."""
    return load(repo_root() / "workflow" / "devices" / "surrogate.yaml")


class TabulatedModel(Model):
    """The model of the virtual device with the exchange pair breaking looked up.

    The ohmic flake in series keeps the surrogate's magnetoresistance: it carries no critical
    current.

    Parameters
    ----------
    knobs : Knobs
        The settings.
    """

    def __init__(self, knobs: Knobs) -> None:
        super().__init__(device_of(knobs))
        self.knobs = knobs

    def exchange(self, T: ArrayLike, B: ArrayLike, orientation: Orientation) -> Array:
        """Exchange pair breaking over its value at T = 0, B = 0: m(T)^2 r(B).

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast; r is constant beyond 9 T.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        return self.sublattice_magnetisation(T) ** 2 * self.proximity_average(B, orientation)

    def proximity_average(self, B: ArrayLike, orientation: Orientation) -> Array:
        """Return r(B), between 0 and 1."""
        key = (
            self.knobs.anisotropy_field,
            self.knobs.layers,
            self.knobs.proximity_depth,
            orientation,
        )
        size = np.minimum(np.abs(np.asarray(B, dtype=float)), _TABLE_FIELDS[-1])
        return np.clip(_table()[key](size), 0.0, 1.0)


def steepest_rise(B: ArrayLike, current: ArrayLike) -> tuple[float, float]:
    """Return field and height of the largest rise of a curve Ic(B).

    Parameters
    ----------
    B : array_like
        Field, T, ascending.
    current : array_like
        Ic, mA.

    Returns
    -------
    tuple of float
        Field (T) at which the rise begins, and rise (mA) from there to the next maximum; NaN and 0
        where Ic only falls.
    """
    B, current = np.asarray(B, dtype=float), np.asarray(current, dtype=float)
    rising = np.diff(current) > 0
    best = (float("nan"), 0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rising, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        height = float(current[stop] - current[start])
        if height > best[1]:
            best = (float(B[start]), height)
    return best


# --------------------------------------------------------------------------------------- the bench
_KNOB_WORDS = {
    "exchange_pair_breaking": "α_ex/Δ₀",
    "anisotropy_field": "B_K (T)",
    "layers": "layers N",
    "proximity_depth": "ξ (nm)",
    "noise_temperature": "T_n (K)",
    "barrier": "Z",
    "polarisation": "P",
    "temperature": "T (K)",
    "field": "B (T)",
    "orientation": "field",
}


class Bench(App):
    """The virtual device with ten knobs: dV/dI, Ic(B), the moments under the film, the contact.

    Grey lines stay at the surrogate's setting, so that a knob's effect is seen against it.

    Parameters
    ----------
    **knobs
        Settings to begin with, see `Knobs`.
    """

    def __init__(self, **knobs: Any) -> None:
        import ipywidgets as widgets

        super().__init__(height=112)
        start = Knobs(**knobs)
        self.channels = (0, 1, 2)
        self.current = np.linspace(-3, 3, 1201)
        self.fields = np.linspace(0, 9, 181)
        self.temperatures = np.concatenate([np.arange(2, 5.6, 0.25), np.arange(5.6, 6.45, 0.1)])

        def slider(name: str, low: float, high: float, step: float) -> Any:
            return widgets.FloatSlider(
                value=getattr(start, name),
                min=low,
                max=high,
                step=step,
                description=_KNOB_WORDS[name],
                readout_format=".3f" if step < 0.01 else ".2f",
                layout=widgets.Layout(width="240px"),
            )

        def steps(name: str, options: Iterable[Any]) -> Any:
            return widgets.SelectionSlider(
                options=[(f"{value:g}" if value else "thick", value) for value in options],
                value=getattr(start, name) or 0,
                description=_KNOB_WORDS[name],
                layout=widgets.Layout(width="240px"),
            )

        noise = sorted({2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 400.0, start.noise_temperature})
        self.controls = {
            "exchange_pair_breaking": slider("exchange_pair_breaking", 0.0, 0.15, 0.005),
            "anisotropy_field": steps("anisotropy_field", ANISOTROPY_FIELDS),
            "layers": steps("layers", [layers or 0 for layers in LAYERS]),
            "proximity_depth": steps("proximity_depth", PROXIMITY_DEPTHS),
            "noise_temperature": steps("noise_temperature", noise),
            "barrier": slider("barrier", 0.0, 1.5, 0.05),
            "polarisation": slider("polarisation", 0.0, 0.95, 0.05),
            "temperature": slider("temperature", 2.0, 10.0, 0.25),
            "field": slider("field", 0.0, 9.0, 0.1),
            "orientation": widgets.ToggleButtons(
                options=list(ORIENTATIONS), value=start.orientation, description=""
            ),
        }
        self.reset = widgets.Button(
            description="surrogate's setting",
            layout=widgets.Layout(min_width="10rem"),
        )
        self.reset.on_click(lambda _: self.set(**vars(Knobs())))
        self._quiet = False
        self._said = ""
        self._draw()
        for widget in self.controls.values():
            widget.observe(lambda _: self.update(), names="value")
        self.update(everything=True)

    @property
    def knobs(self) -> Knobs:
        """The settings at the moment."""
        values = {name: widget.value for name, widget in self.controls.items()}
        # a slider cannot hold None, which stands for a thick flake
        return Knobs(**{**values, "layers": values["layers"] or None})

    def layout(self) -> list[Any]:
        """Return the rows of the app."""
        import ipywidgets as widgets

        c = self.controls
        rows = (
            ("exchange_pair_breaking", "anisotropy_field", "layers", "proximity_depth"),
            ("noise_temperature", "barrier", "polarisation"),
            ("temperature", "field", "orientation"),
        )
        boxes = [widgets.HBox([c[name] for name in row]) for row in rows]
        return [*boxes, self.canvas, widgets.HBox([self.reset, self.status])]

    def describe(self) -> str:
        """Return what the knobs do to the kink, in words."""
        return self._said

    def set(self, **values: Any) -> Bench:
        """Turn several knobs at once; nothing is drawn in between."""
        self._quiet = True
        try:
            for name, value in values.items():
                # the nearest step is meant for numbers read off a map, not for a count of layers
                if name == "layers":
                    self.controls[name].value = value or 0
                else:
                    super().set(**{name: value})
        finally:
            self._quiet = False
        self.update()
        return self

    def curves(self, knobs: Knobs) -> dict[str, Array]:
        """Evaluate all that is drawn.

        Parameters
        ----------
        knobs : Knobs
            The settings.

        Returns
        -------
        dict of str to ndarray
            ``dVdI`` (ohm) over `current`; ``Ic{k}``, ``Ic{k} in-plane`` (mA) and ``r``,
            ``r in-plane`` over `fields`; ``contact``, zero-bias over normal resistance of the
            contact, over `temperatures`.
        """
        model = TabulatedModel(knobs)
        V = model.voltage_map(
            "interface",
            self.current,
            np.array([knobs.temperature]),
            knobs.field,
            knobs.orientation,
        )[0]
        found = {"dVdI": np.gradient(V, self.current)}
        for orientation, suffix in zip(ORIENTATIONS, ("", " in-plane"), strict=True):
            found[f"r{suffix}"] = model.proximity_average(self.fields, orientation)
            for k in self.channels:
                found[f"Ic{k}{suffix}"] = np.maximum(
                    model.critical_current(k, knobs.temperature, self.fields, orientation), 0.0
                )
        R = model.andreev_resistance(self.temperatures)
        found["contact"] = R / model.device.andreev.resistance
        return found

    def update(self, *, everything: bool = False) -> None:
        """Evaluate the model at the knobs and draw."""
        if self._quiet:
            return
        knobs = self.knobs
        found = self.curves(knobs)
        for name, line in self._lines.items():
            line.set_ydata(found[name])
        for line in self._cursors:
            line.set_xdata([knobs.field] * 2)
        self._temperature.set_xdata([knobs.temperature] * 2)
        # near Tc of the film its step, ten times those of the interface, comes into view
        limits = (min(14.0, found["dVdI"].min() - 1), max(34.0, 1.05 * found["dVdI"].max()))
        if limits != self._slope.get_ylim():
            self._slope.set_ylim(*limits)
            everything = True
        self._said = self._words(knobs, found)
        self.redraw(everything=everything)

    def _words(self, knobs: Knobs, found: dict[str, Array]) -> str:
        turned = knobs.differences()
        parts = [f"{_KNOB_WORDS[name]} = {_plain(value)}" for name, value in turned.items()]
        setting = ", ".join(parts) or "the surrogate's setting"
        rises = []
        for k in self.channels:
            start, height = steepest_rise(self.fields, found[f"Ic{k}"])
            if height > 5e-4:
                share = 100 * height / float(np.interp(start, self.fields, found[f"Ic{k}"]))
                rises.append(f"Ic{k} by {1e3 * height:.0f} µA ({share:.1f} %) from {start:.2f} T")
        out = (
            f"out of plane these rise: {', '.join(rises)}" if rises else "no Ic rises out of plane"
        )
        flat = [
            k
            for k in self.channels
            if steepest_rise(self.fields, found[f"Ic{k} in-plane"])[1] > 5e-4
        ]
        in_plane = f"in plane Ic{', Ic'.join(map(str, flat))} rise" if flat else "in plane none"
        zero = float(found["contact"][0])
        peak = "a peak" if zero > 1.005 else ("a dip" if zero < 0.995 else "no feature")
        return f"{setting}: {out}; {in_plane}; zero bias at 2 K: {peak} (R(0)/R_N = {zero:.2f})"

    def _draw(self) -> None:
        ghost = self.curves(Knobs())
        grey = {"color": "#C4C4C4", "lw": 1.4, "zorder": 1}
        self._lines: dict[str, Any] = {}
        with style.context():
            figure = self.figure
            slope = figure.add_axes((0.05, 0.56, 0.43, 0.37))
            contact = figure.add_axes((0.05, 0.105, 0.43, 0.33))
            fall = figure.add_axes((0.55, 0.4, 0.435, 0.53))
            moments = figure.add_axes((0.55, 0.105, 0.435, 0.22), sharex=fall)
            places = {"dVdI": (slope, self.current), "contact": (contact, self.temperatures)}
            for suffix in ("", " in-plane"):
                places[f"r{suffix}"] = (moments, self.fields)
                for k in self.channels:
                    places[f"Ic{k}{suffix}"] = (fall, self.fields)
            for name, (axes, x) in places.items():
                dashes = {"ls": (0, (4, 2))} if name.endswith("in-plane") else {}
                axes.plot(x, ghost[name], **grey, **dashes)
                k = int(name[2]) if name.startswith("Ic") else None
                colour = style.INK if k is None else style.CHANNEL_COLOURS[k]
                colour = style.ANDREEV_COLOUR if name == "contact" else colour
                label = None if k is None or dashes else style.critical_current_symbol(k)
                (self._lines[name],) = axes.plot(
                    x, ghost[name], color=colour, lw=1.1, label=label, **dashes
                )
            slope.set(xlabel=style.LABELS["I"], ylabel=style.LABELS["dVdI"], xlim=(-3, 3))
            self._slope = slope
            contact.set(xlabel=style.LABELS["T"], ylabel=r"$R_{AR}(0)/R_N$", ylim=(0.5, 4))
            contact.set_xlim(2, 6.4)
            contact.axhline(1, color=style.MUTED, lw=0.6)
            fall.set(ylabel=style.LABELS["Ic"], ylim=(0, 2.3), xlim=(0, 9))
            fall.plot([], [], color=style.INK, lw=1.0, label="out of plane")
            fall.plot([], [], color=style.INK, lw=1.0, ls=(0, (4, 2)), label="in plane")
            fall.legend(loc="upper right", ncols=2)
            moments.set(xlabel=style.LABELS["B"], ylim=(-0.05, 1.08))
            moments.set_ylabel(r"$r = \langle m_z^2 \rangle$")
            fall.tick_params(labelbottom=False)
            self._cursors = [
                axes.axvline(0, color=style.MUTED, lw=0.7, ls=(0, (1, 2)))
                for axes in (fall, moments)
            ]
            self._temperature = contact.axvline(2, color=style.MUTED, lw=0.7, ls=(0, (1, 2)))
            slope.set_title("d$V$/d$I$ at the chosen $T$ and $B$; grey: surrogate", loc="left")
            fall.set_title("critical currents at the chosen $T$", loc="left")
            contact.set_title("zero-bias resistance of the contact", loc="left")
            style.mark_provenance(figure, "synthetic", sample="virtual device")
        self.follow(*self._lines.values(), *self._cursors, self._temperature)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def moments_figure(fields: Iterable[float] = (0, 3.05, 3.5, 5, 8), layers: int = 8) -> Any:
    """Draw the layer moments below the film in an out-of-plane field, outermost layer on top.

    Parameters
    ----------
    fields : iterable of float
        B, T; one column each.
    layers : int
        Layers shown of a thick flake.

    Returns
    -------
    PaperFigure
    """
    fields = list(fields)
    weights = magnet.proximity_weights(magnet.SEMI_INFINITE_LAYERS, Knobs().proximity_depth)
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 62)
        axes = style.add_axes(figure, 22, 4, 154, 50)
        for column, B in enumerate(fields):
            phi = magnet.surface_profile(B, magnet_of(1.125), "out-of-plane")
            r = float(np.cos(phi) ** 2 @ weights)
            axes.text(column, 0.75, f"$B$ = {B:g} T,  $r$ = {r:.2f}", ha="center", va="bottom")
            for n in range(layers):
                # 2.6 mm half length on the page, whatever the scales of the axes
                dx = 2.6 * np.sin(phi[n]) * len(fields) / 154
                dy = 2.6 * np.cos(phi[n]) * (layers + 1.0) / 50
                axes.annotate(
                    "",
                    (column + dx, -n + dy),
                    (column - dx, -n - dy),
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": style.CHANNEL_COLOURS[0 if n % 2 == 0 else 2],
                        "lw": 1.2,
                        "alpha": 0.35 + 0.65 * float(weights[n] / weights[0]),
                    },
                )
        axes.set(xlim=(-0.5, len(fields) - 0.5), ylim=(-layers + 0.3, 1.3))
        axes.set_yticks([0, -layers + 1], ["under the film", f"layer {layers}"])
        axes.set_xticks([])
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def curves_figure(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    ylim: tuple[float, float] | None = None,
) -> Any:
    """Draw a few curves over one axis, one column wide.

    Parameters
    ----------
    x : array_like
        Abscissa.
    curves : mapping of str to array_like
        Legend -> values.
    xlabel, ylabel : str
        A key of `nbnmbt.plotting.style.LABELS`, or a text.
    ylim : tuple of float, optional
        Limits.

    Returns
    -------
    PaperFigure
    """
    with style.context():
        figure = style.new_figure(style.SINGLE_COLUMN + 20, 58)
        axes = style.add_axes(figure, 14, 11, 90, 43)
        for colour, (label, values) in zip(
            style.sequential_colours(len(curves)), curves.items(), strict=True
        ):
            axes.plot(x, values, lw=1.1, color=colour, label=label)
        axes.set(xlabel=style.LABELS.get(xlabel, xlabel), ylabel=style.LABELS.get(ylabel, ylabel))
        axes.set_xlim(float(np.min(x)), float(np.max(x)))
        if ylim is not None:
            axes.set_ylim(ylim)
        axes.legend()
    return figure


def main() -> None:
    """Write the table."""
    print(write_table().name)


if __name__ == "__main__":
    main()

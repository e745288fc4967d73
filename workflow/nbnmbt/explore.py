"""Widgets to look at a sample with: sweeps and their fits, two samples, other analysis choices.

A notebook shows an `App` by naming it on the last line of a cell. In JupyterLab that is live; where
there is no kernel (a stored notebook, a page) it is the picture of its first state. Everything an
app can do can be called without a browser too, which is how the tests drive it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from nbnmbt import claims, numbers
from nbnmbt.analysis.channel_parts import channel_parts
from nbnmbt.config import schema
from nbnmbt.numbers import Table, format_value
from nbnmbt.paths import repo_root
from nbnmbt.plotting import maps, style
from nbnmbt.results import Results
from nbnmbt.studies.sensitivity import variants
from nbnmbt.studies.variants import VariedResults, all_stages

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "App",
    "Change",
    "Choices",
    "Comparison",
    "Viewer",
    "claims_table",
    "difference_table",
    "known_samples",
    "what_if",
]

#: Measurements and what a person calls them.
MEASUREMENTS: dict[str, str] = {
    "iv_temperature": "V(I) over temperature (Fig. 3)",
    "iv_out_of_plane": "V(I) over field, out of plane (Fig. 4a)",
    "iv_in_plane": "V(I) over field, in plane (Fig. 4c)",
    "iv_angle": "V(I) over angle (Fig. 6)",
    "iv_angle_nbn": "V(I) over angle, bare NbN",
    "iv_interface": "V(I) of the interface (Fig. 2d)",
    "iv_mnbi2te4": "V(I) of MnBi₂Te₄ (Fig. 2h)",
    "iv_nbn": "V(I) of NbN (Fig. 2l)",
    "rt_interface": "R(T) of the interface (Fig. 2b)",
    "rt_mnbi2te4": "R(T) of MnBi₂Te₄ (Fig. 2f)",
    "rt_nbn": "R(T) of NbN (Fig. 2j)",
    "mr_interface": "R(B) of the interface (Fig. 2c)",
    "mr_mnbi2te4": "R(B) of MnBi₂Te₄ (Fig. 2g)",
    "mr_nbn": "R(B) of NbN (Fig. 2k)",
    "loops_interface": "R(B) loops of the interface (Fig. 7)",
}
_UNITS = {"T": "K", "B": "T", "theta": "°"}
_LETTERS = {"T": "T", "B": "B", "theta": "θ"}
_MARKS = {
    "rt_interface": ("Tc_interface",),
    "rt_nbn": ("Tc_NbN",),
    "rt_mnbi2te4": ("T_N_peak", "T_N_max_slope"),
    "mr_interface": ("B_flop_interface", "B_sat_interface"),
    "mr_mnbi2te4": ("B_flop_mnbi2te4", "B_sat_mnbi2te4"),
}


def known_samples(*first: str) -> list[str]:
    """Return the samples that can be looked at without long waiting.

    Parameters
    ----------
    *first : str
        Names to begin with.

    Returns
    -------
    list of str
        Then every folder of ``data/raw`` that holds a sample sheet, and `smoke`.
    """
    raw = repo_root() / "data" / "raw"
    there = sorted(path.parent.name for path in raw.glob("*/sample.yaml"))
    return list(dict.fromkeys([*first, *there, "smoke"]))


# ------------------------------------------------------------------------------------- foundations
@lru_cache(maxsize=1)
def _canvas_class() -> type:
    from ipympl.backend_nbagg import Canvas

    class StyledCanvas(Canvas):
        """An interactive canvas that draws with the style sheet of the figures."""

        def draw(self) -> None:
            with style.context():
                super().draw()

    return StyledCanvas


class App:
    """A figure with controls.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        What is drawn.
    controls : dict of str to widget
        The widgets, by name.
    """

    #: As wide as a notebook on a laptop of 1366 pixels with the file browser open (882 pixels), mm.
    WIDTH = 200.0

    def __init__(self, height: float) -> None:
        import ipywidgets as widgets
        from ipympl.backend_nbagg import FigureManager
        from matplotlib.figure import Figure

        with style.context():
            self.figure = Figure(figsize=(self.WIDTH * style.MM, height * style.MM), dpi=112)
            canvas = _canvas_class()(self.figure)
            # the canvas keeps the manager alive; pyplot never learns of either
            FigureManager(canvas, 0)
        canvas.header_visible = False
        canvas.footer_visible = False
        canvas.resizable = False
        # over the empty margin below the axes, not over a curve
        canvas.toolbar_position = "bottom"
        self.canvas = canvas
        self.controls: dict[str, Any] = {}
        # What follows a slider is drawn on top of a kept picture of all the rest: a move then takes
        # some 30 ms instead of the 300 ms of axes, ticks and maps.
        self._moving: list[Any] = []
        self._background: Any = None
        canvas.mpl_connect("draw_event", self._drawn)
        self.status = widgets.HTML()
        self._box: Any = None
        canvas.mpl_connect("button_press_event", self._clicked)

    # ---- what an app fills in
    def layout(self) -> list[Any]:
        """Return the rows of the app, top to bottom."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the state in words; this is the app's text."""
        raise NotImplementedError

    def clicked(self, axes: Axes, x: float, y: float) -> None:
        """React to a click into some axes, at data coordinates."""

    # ---- what it gets
    def set(self, **values: Any) -> App:
        """Turn controls by name, as a hand would.

        Parameters
        ----------
        **values
            Name of a control -> value. On a slider over set-points the nearest one is taken.

        Returns
        -------
        App
            Itself, so that a cell can end with it.
        """
        for name, value in values.items():
            if name not in self.controls:
                raise KeyError(f"no control {name!r}: there are {', '.join(self.controls)}")
            widget = self.controls[name]
            options = getattr(widget, "options", None)
            if options and isinstance(value, int | float) and not isinstance(value, bool):
                values_of = [o[1] if isinstance(o, tuple) else o for o in options]
                if all(isinstance(one, int | float) for one in values_of):
                    value = min(values_of, key=lambda one: abs(one - value))
            widget.value = value
        return self

    def png(self) -> bytes:
        """Return the figure as PNG."""
        buffer = io.BytesIO()
        with style.context():
            self.figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()

    def follow(self, *artists: Any) -> None:
        """Declare what changes when a slider moves."""
        for artist in artists:
            artist.set_animated(True)
        self._moving.extend(artists)

    def redraw(self, *, everything: bool = False) -> None:
        """Show what has changed, in the browser if there is one.

        Parameters
        ----------
        everything : bool
            Draw axes and maps too, not only what follows the sliders.
        """
        self.status.value = f"<span class='nbnmbt-status'>{self.describe_html()}</span>"
        if everything or self._background is None:
            self._background = None
            self.canvas.draw_idle()
            return
        self.canvas.restore_region(self._background)
        self._draw_moving()
        self.canvas.blit(self.figure.bbox)

    def _drawn(self, _: Any) -> None:
        if self.canvas.is_saving():
            return
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)
        self._draw_moving()

    def _draw_moving(self) -> None:
        for artist in self._moving:
            artist.axes.draw_artist(artist)

    def describe_html(self) -> str:
        """Return `describe` for the line under the figure."""
        return self.describe().replace("\n", "<br>")

    def _clicked(self, event: Any) -> None:
        if event.inaxes is not None and event.button == 1 and not self.canvas.toolbar.mode:
            self.clicked(event.inaxes, event.xdata, event.ydata)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        import ipywidgets as widgets

        if self._box is None:
            self._box = widgets.VBox(self.layout())
        return {
            "text/plain": self.describe(),
            "image/png": base64.b64encode(self.png()).decode(),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self._box.model_id,
            },
        }


class _QuietResults(Results):
    def _say(self, what: str) -> None:
        """Stay silent: in a widget there is no place for it."""


def _quiet(sample: str) -> Results:
    return _QuietResults(sample, repo_root())


def _slider(name: str, values: Sequence[float]) -> Any:
    import ipywidgets as widgets

    unit = _UNITS[name]
    return widgets.SelectionSlider(
        options=[(f"{value:g} {unit}", float(value)) for value in values],
        description=_LETTERS[name],
        continuous_update=True,
        layout=widgets.Layout(width="330px"),
    )


def _dropdown(options: Sequence[Any], value: Any, description: str, width: str = "330px") -> Any:
    import ipywidgets as widgets

    return widgets.Dropdown(
        options=options,
        value=value,
        description=description,
        layout=widgets.Layout(width=width),
    )


def _swept(data: xr.Dataset | xr.DataArray) -> list[str]:
    """Name the set-point axes with several values; the one drawn upwards on a map comes last."""
    return [name for name in ("T", "B", "theta") if data.sizes.get(name, 1) > 1]


def _cursor(axes: Axes) -> Any:
    """Draw the horizontal line that marks the chosen sweep on a map."""
    (line,) = axes.plot(
        [0, 1],
        [0, 0],
        transform=axes.get_yaxis_transform(),
        lw=1.1,
        color="white",
        zorder=4,
        path_effects=style.outlined(style.INK, 2.2),
    )
    return line


def _limits(values: Any, margin: float = 0.06) -> tuple[float, float]:
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = margin * (high - low) or 1.0
    return low - room, high + room


# ------------------------------------------------------------------------------------- one sample
class Viewer(App):
    """Any measurement of a sample: the map, the sweep under the cursor, its fit and what it says.

    Parameters
    ----------
    sample : str
        Name of the sample.
    measurement : str
        A key of `MEASUREMENTS`.
    samples : sequence of str, optional
        What the drop-down offers.
    """

    def __init__(
        self,
        sample: str | Results = "surrogate",
        measurement: str = "iv_out_of_plane",
        samples: Sequence[str] | None = None,
    ) -> None:
        super().__init__(height=106)
        opened = sample if isinstance(sample, Results) else None
        name = sample.sample if isinstance(sample, Results) else sample
        self._opened: dict[str, Results] = {name: opened} if opened is not None else {}
        self.controls = {
            "sample": _dropdown(list(samples or known_samples(name)), name, "sample", "250px"),
            "measurement": _dropdown(
                [(words, key) for key, words in MEASUREMENTS.items()],
                measurement,
                "measured",
                "420px",
            ),
        }
        self.sliders: dict[str, Any] = {}
        self._row: Any = None
        self._move: Callable[[], str] = lambda: ""
        self._stale = False
        self._said = ""
        for widget in self.controls.values():
            widget.observe(lambda _: self._open(), names="value")
        self._open()

    @property
    def results(self) -> Results:
        """The results on display."""
        name = self.controls["sample"].value
        if name not in self._opened:
            self._opened[name] = _quiet(name)
        return self._opened[name]

    def layout(self) -> list[Any]:
        """Return the rows of the app."""
        import ipywidgets as widgets

        pick = widgets.HBox([self.controls["sample"], self.controls["measurement"]])
        self._row = self._row or widgets.HBox(list(self.sliders.values()))
        return [pick, self._row, self.canvas, self.status]

    def describe(self) -> str:
        """Return what is shown, in words and numbers."""
        return self._said

    def clicked(self, axes: Axes, x: float, y: float) -> None:
        """Take the set-point that was clicked on the map."""
        if axes.get_label() == "map" and self.sliders:
            along = list(self.sliders)[-1]
            self.set(**{along: y})

    # ---- drawing
    def _open(self) -> None:
        measurement = self.controls["measurement"].value
        self.status.value = "reading, or computing what is not built yet ..."
        for name in self.sliders:
            self.controls.pop(name)
        self.sliders = {}
        with style.context():
            self.figure.clear()
            self._moving = []
            if measurement.startswith("iv_"):
                self._move = self._draw_sweeps(self.results.critical_currents(measurement))
            elif measurement.startswith("loops_"):
                self._move = self._draw_loops(self.results.dataset(measurement))
            else:
                self._move = self._draw_curve(self.results.dataset(measurement))
            style.mark_provenance(self.figure, self.results.provenance, sample=self.results.sample)
        for name, slider in self.sliders.items():
            self.controls[name] = slider
            slider.observe(lambda _: self.update(), names="value")
        if self._row is not None:
            self._row.children = tuple(self.sliders.values())
        self.update(everything=True)

    def update(self, *, everything: bool = False) -> None:
        """Draw the sweep at the sliders' set-points."""
        self._said = self._move()
        self.redraw(everything=everything or self._stale)
        self._stale = False

    def _nothing(self, data: xr.Dataset) -> Callable[[], str]:
        axes = self.figure.add_axes((0.05, 0.1, 0.9, 0.8))
        reason = style.missing(data)
        style.not_measured(axes, reason)
        return lambda: f"{self.results.sample}: {reason}"

    def _axes(self, left: float, bottom: float, width: float, height: float, **kwargs: Any) -> Axes:
        return self.figure.add_axes((left, bottom, width, height), **kwargs)

    def _draw_sweeps(self, currents: xr.Dataset) -> Callable[[], str]:
        if style.missing(currents):
            return self._nothing(currents)
        axes_swept = _swept(currents)
        for name in axes_swept:
            self.sliders[name] = _slider(name, currents[name].values)
        along = axes_swept[-1] if axes_swept else None
        x = currents["I"].values
        left = 0.05 if along is None else 0.365
        width = (0.985 - left - 0.07) / 2
        volt = self._axes(left, 0.40, width, 0.51)
        rest = self._axes(left, 0.115, width, 0.23, sharex=volt)
        slope = self._axes(left + width + 0.07, 0.53, width, 0.38, sharex=volt)
        parts_axes = self._axes(left + width + 0.07, 0.115, width, 0.36, sharex=volt)
        redraw_map, cursor = lambda: None, None
        if along is not None:
            redraw_map, cursor = self._draw_map(currents, along, axes_swept[:-1])
        (measured,) = volt.plot(x, x, ".", ms=2.2, color=style.MUTED, label="measured")
        fit_colour = style.CHANNEL_COLOURS[2]
        (fitted,) = volt.plot(x, x, color=fit_colour, lw=0.9, label="fitted")
        (residual,) = rest.plot(x, 0 * x, ".", ms=1.6, color=style.MUTED)
        rest.axhline(0, color=fit_colour, lw=0.7)
        (smooth,) = slope.plot(x, x, color="#B0B0B0", lw=2.0, label="measured, smoothed")
        (slope_fit,) = slope.plot(x, x, color=fit_colour, lw=0.8, label="fitted")
        channels = [int(k) for k in currents["channel"].values]
        excess, verticals = {}, {}
        for k in channels:
            (excess[k],) = parts_axes.plot(
                x,
                np.full(x.size, np.nan),
                color=style.CHANNEL_COLOURS[k],
                lw=1.0,
                label=style.critical_current_symbol(k),
            )
            verticals[k] = [
                axes.axvline(np.nan, color=style.CHANNEL_COLOURS[k], lw=0.6, ls=(0, (3, 2)))
                for axes in (slope, parts_axes)
                for _ in (0, 1)
            ]
        (contact,) = parts_axes.plot(
            x, np.full(x.size, np.nan), color=style.ANDREEV_COLOUR, lw=1.0, label="Andreev"
        )
        volt.set(ylabel=style.LABELS["V"], xlim=(x.min(), x.max()))
        rest.set(xlabel=style.LABELS["I"], ylabel="residual (µV)")
        slope.set(ylabel=style.LABELS["dVdI"])
        parts_axes.set(xlabel=style.LABELS["I"], ylabel=r"$V_k - R_k I$ (mV)")
        volt.legend(loc="upper left")
        slope.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.1)
        for axes in (volt, slope):
            axes.tick_params(labelbottom=False)

        # the vertical scales hold still while a slider moves, so that curves can be compared
        flat = currents["V_fit"].values
        volt.set_ylim(*_limits(flat))
        slope.set_ylim(*maps.colour_limits([currents["dVdI"]], lower=0.1, upper=99.8))
        slope.set_ylim(*_limits(slope.get_ylim(), 0.1))
        spread = 1e3 * np.nanpercentile(np.abs(currents["residual"].values), 99.5)
        rest.set_ylim(-1.6 * spread or -1.0, 1.6 * spread or 1.0)
        # a channel deviates most from its normal state at Ic, by R Ic
        largest = maps.resolved(currents) * currents["R"]
        heights = np.sort([float(v) for v in largest.max(("T", "B", "theta")) if np.isfinite(v)])
        # the film's step, a hundred times those of the interface, may leave the axes
        dwarfs = heights.size > 1 and heights[-1] > 10 * heights[-2]
        room = (4.0 * heights[-2] if dwarfs else 1.15 * heights[-1]) if heights.size else 1.0
        parts_axes.set_ylim(-room, room)
        known = [k for k, there in zip(channels, largest.notnull().any(("T", "B", "theta")).values,
                                       strict=True) if there]  # fmt: skip
        handles = [excess[k] for k in known]
        if int(currents.attrs.get("has_andreev", 0)):
            handles.append(contact)
        if handles:
            parts_axes.legend(
                handles=handles,
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                ncols=len(handles),
                borderaxespad=0.1,
            )
        self.follow(measured, fitted, residual, smooth, slope_fit, *excess.values(), contact)
        self.follow(*(line for lines in verticals.values() for line in lines))
        if cursor is not None:
            self.follow(cursor)

        def move() -> str:
            point = {name: float(slider.value) for name, slider in self.sliders.items()}
            parts = channel_parts(currents, **point)
            redraw_map()
            if cursor is not None:
                cursor.set_ydata([point[along]] * 2)
            fit = parts["V_fit"].values
            measured.set_ydata(fit + parts["residual"].values)
            fitted.set_ydata(fit)
            residual.set_ydata(1e3 * parts["residual"].values)
            smooth.set_ydata(parts["dVdI"].values)
            slope_fit.set_ydata(parts["dVdI_fit"].values)
            for position, k in enumerate(channels):
                excess[k].set_ydata(parts["excess_channel"].values[position])
                value = float(parts["Ic"].values[position])
                for i, line in enumerate(verticals[k]):
                    line.set_xdata([(1 if i % 2 else -1) * value] * 2)
            andreev = parts["excess_andreev"].values
            contact.set_ydata(andreev if np.any(andreev) else np.full(x.size, np.nan))
            return self._words(currents, point)

        return move

    def _draw_map(self, currents: xr.Dataset, along: str, others: Sequence[str]) -> tuple[Any, Any]:
        axes = self._axes(0.05, 0.115, 0.225, 0.795, label="map")
        bar = self._axes(0.28, 0.115, 0.008, 0.795)
        compressed = currents.attrs.get("measurement") == "iv_temperature"
        norm = maps.normalisation(
            [currents["dVdI"]], "compressed" if compressed else "linear", upper=99
        )
        shown: dict[str, Any] = {}

        def picture() -> None:
            point = {name: float(self.sliders[name].value) for name in others}
            if shown.get("point") == point:
                return
            self._stale = True
            for artist in shown.pop("artists", []):
                artist.remove()
            chosen = currents.sel(point)
            before = set(axes.get_children())
            mesh, _ = maps.differential_resistance(
                axes,
                chosen["dVdI"],
                along,
                norm=norm,
                orientation=currents.attrs.get("orientation"),
            )
            maps.ridges(axes, chosen, along, size=2.4)
            shown.update(point=point, artists=[a for a in axes.get_children() if a not in before])
            if "bar" not in shown:
                shown["bar"] = self.figure.colorbar(mesh, cax=bar, ticks=maps.colour_ticks(norm))
                bar.tick_params(length=1.5)
                bar.set_title("Ω", fontsize=style.SMALL)

        picture()
        axes.set_title("click to choose a sweep", loc="left", color=style.MUTED)
        return picture, _cursor(axes)

    def _words(self, currents: xr.Dataset, point: Mapping[str, float]) -> str:
        one = currents
        for name in ("T", "B", "theta"):
            one = one.sel({name: point[name]}) if name in point else one.isel({name: 0})
        where = ", ".join(
            f"{_LETTERS[name]} = {float(one[name]):g} {_UNITS[name]}"
            for name in ("T", "B", "theta")
            # an angle that was not turned says nothing, and without a field there is none
            if np.isfinite(float(one[name])) and (name != "theta" or name in point)
        )
        found = []
        for position, k in enumerate(currents["channel"].values):
            value, error = float(one["Ic"][position]), float(one["Ic_err"][position])
            resolved = int(one["censored"][position]) == 0 and np.isfinite(value)
            if resolved:
                found.append(f"Ic{int(k)} = {format_value(value, error, 'mA')}")
        chi2 = float(one["chi2_nu"])
        fit = f"χ²/ν = {chi2:.2f}" if np.isfinite(chi2) else "no fit"
        return f"{self.results.sample}, {where}: {', '.join(found) or 'no channel resolved'}; {fit}"

    def _draw_curve(self, data: xr.Dataset) -> Callable[[], str]:
        if style.missing(data):
            return self._nothing(data)
        along = "T" if data.sizes.get("T", 1) > 1 else "B"
        axes = self._axes(0.07, 0.12, 0.9, 0.79)
        table = data["R"]
        branches = table["branch"].values if "branch" in table.dims else [None]
        for branch in branches:
            one = table if branch is None else table.sel(branch=branch)
            line = maps.single_axis(one, along)
            axes.plot(line[along], line, ".-", ms=3, lw=0.7,
                      color=style.BRANCH_COLOURS.get(str(branch), style.INK),
                      label=None if branch is None else str(branch))  # fmt: skip
        label = style.LABELS["T"] if along == "T" else style.field_label("out-of-plane")
        axes.set(xlabel=label, ylabel=style.LABELS["R"])
        axes.set_title("zoom with the tools at the right", loc="left", color=style.MUTED)
        said = []
        measurement = self.controls["measurement"].value
        if self._has(numbers.STAGE_FILES["transitions"]):
            estimates = self.results.stage("transitions").estimates
            for position, key in enumerate(_MARKS.get(measurement, ())):
                found = estimates.get(key)
                if found is None or found.value is None:
                    continue
                colour = style.CHANNEL_COLOURS[position]
                name = numbers.NUMBER_KEYS[key].symbol
                axes.axvline(found.value, color=colour, lw=0.9, ls=(0, (3, 2)), label=key)
                said.append(f"{name} = {format_value(found.value, found.uncertainty, found.unit)}")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        text = f"{self.results.sample}, {table.size} points"
        return lambda: "; ".join([text, *said])

    def _draw_loops(self, data: xr.Dataset) -> Callable[[], str]:
        if style.missing(data):
            return self._nothing(data)
        fits = self.results.loops() if self._has("loops.nc") else None
        measured = data["R"] if fits is None else fits["R"]
        measured = measured.squeeze(drop=True)
        slider = _slider("T", measured["T"].values)
        self.sliders["T"] = slider
        upper = self._axes(0.07, 0.38, 0.43, 0.53)
        lower = self._axes(0.07, 0.12, 0.43, 0.21, sharex=upper)
        field = measured["B"].values
        lines: dict[str, Any] = {}
        for branch, colour in style.BRANCH_COLOURS.items():
            label = "B rising →" if branch == "up" else "← B falling"
            lines[branch] = upper.plot(field, field, ".", ms=2.4, color=colour, label=label)[0]
            lines[branch, "fit"] = upper.plot(field, field * np.nan, color=colour, lw=1.0)[0]
            lines[branch, "rest"] = lower.plot(field, field * np.nan, ".", ms=1.8, color=colour)[0]
        lower.axhline(0, color=style.INK, lw=0.6)
        upper.set(ylabel=style.LABELS["R"], xlim=(field.min(), field.max()))
        lower.set(xlabel=style.field_label("out-of-plane"), ylabel="residual (mΩ)")
        upper.tick_params(labelbottom=False)
        upper.legend(loc="upper right", ncols=2)
        both_signs = [upper.axvline(np.nan, color=style.INK, lw=0.6, ls=(0, (3, 2))) for _ in "+-"]
        cursors = []
        for i, (name, what) in enumerate((("B_c", "B_c"), ("deltaR", "deltaR"))):
            axes = self._axes(0.58, 0.555 - 0.435 * i, 0.4, 0.355)
            if fits is None:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "not fitted yet: run the workflow", ha="center")
                continue
            axes.errorbar(fits["T"], fits[name], fits[f"{name}_err"], fmt="o", ms=3, lw=0.8,
                          color=style.CHANNEL_COLOURS[2 * i])  # fmt: skip
            axes.set(ylabel=style.LABELS[what], xlabel=style.LABELS["T"] if i else "")
            axes.set_xlim(0, float(fits["T"].max()) + 1)
            cursors.append(axes.axvline(0, color=style.INK, lw=0.8, ls=(0, (3, 2))))

        self.follow(*lines.values(), *both_signs, *cursors)

        def move() -> str:
            T = float(slider.value)
            # the height of a loop is thousandths of R, which runs by ohms with T
            self._stale = True
            for branch in ("up", "down"):
                values = measured.sel(branch=branch, T=T).values
                lines[branch].set_ydata(values)
                if fits is not None:
                    fit = fits["R_fit"].sel(branch=branch, T=T).values
                    lines[branch, "fit"].set_ydata(fit)
                    lines[branch, "rest"].set_ydata(1e3 * (values - fit))
            both = measured.sel(T=T).values
            upper.set_ylim(*_limits(both, 0.15))
            for cursor in cursors:
                cursor.set_xdata([T, T])
            if fits is None:
                return f"{self.results.sample}, T = {T:g} K: loops not fitted yet"
            lower.set_ylim(*_limits(1e3 * (both - fits["R_fit"].sel(T=T).values), 0.15))
            one = fits.sel(T=T)
            said = []
            for name, unit in (("B_c", "T"), ("deltaR", "ohm")):
                value, error = float(one[name]), float(one[f"{name}_err"])
                if name == "B_c":
                    for line, sign in zip(both_signs, (1, -1), strict=True):
                        line.set_xdata([sign * value] * 2)
                if np.isfinite(value):
                    symbol = {"deltaR": "ΔR"}.get(name, name)
                    said.append(f"{symbol} = {format_value(value, error, unit)}")
            return f"{self.results.sample}, T = {T:g} K: {', '.join(said) or 'no loop resolved'}"

        return move

    def _has(self, file: str) -> bool:
        """Whether a result is at hand without computing it for long."""
        return (self.results.folder / file).exists()


# ------------------------------------------------------------------------------------- two samples
class Comparison(App):
    """The same measurement of two samples side by side, and one sweep of each on top of each other.

    Parameters
    ----------
    first, second : str or Results
        The two samples.
    measurement : str
        A V-I measurement of both.
    """

    def __init__(
        self,
        first: str | Results = "surrogate",
        second: str | Results = "smoke",
        measurement: str = "iv_out_of_plane",
    ) -> None:
        super().__init__(height=106)
        self.pair = tuple(
            one if isinstance(one, Results) else _quiet(one) for one in (first, second)
        )
        offered = [(words, key) for key, words in MEASUREMENTS.items() if key.startswith("iv_")]
        self.controls = {"measurement": _dropdown(offered, measurement, "measured", "420px")}
        self.controls["measurement"].observe(lambda _: self._open(), names="value")
        self.sliders: dict[str, Any] = {}
        self._row: Any = None
        self._said = ""
        self._stale = False
        self._move: Callable[[], str] = lambda: ""
        self._open()

    def layout(self) -> list[Any]:
        """Return the rows of the app."""
        import ipywidgets as widgets

        self._row = self._row or widgets.HBox(list(self.sliders.values()))
        return [self.controls["measurement"], self._row, self.canvas, self.status]

    def describe(self) -> str:
        """Return what is shown, in words and numbers."""
        return self._said

    def clicked(self, axes: Axes, x: float, y: float) -> None:
        """Take the set-point that was clicked on either map."""
        if axes.get_label() == "map" and self.sliders:
            self.set(**{list(self.sliders)[-1]: y})

    def _open(self) -> None:
        measurement = self.controls["measurement"].value
        for name in self.sliders:
            self.controls.pop(name)
        self.sliders = {}
        both = [one.critical_currents(measurement) for one in self.pair]
        with style.context():
            self.figure.clear()
            self._moving = []
            self._move = self._draw(both)
        for name, slider in self.sliders.items():
            self.controls[name] = slider
            slider.observe(lambda _: self.update(), names="value")
        if self._row is not None:
            self._row.children = tuple(self.sliders.values())
        self.update(everything=True)

    def update(self, *, everything: bool = False) -> None:
        """Draw the sweeps at the sliders' set-points."""
        self._said = self._move()
        self.redraw(everything=everything or self._stale)
        self._stale = False

    def _draw(self, both: Sequence[xr.Dataset]) -> Callable[[], str]:
        missing = [style.missing(one) for one in both]
        names = [one.sample for one in self.pair]
        there = [one for one, reason in zip(both, missing, strict=True) if not reason]
        if not there:
            style.not_measured(self.figure.add_axes((0.05, 0.1, 0.9, 0.8)), missing[0])
            return lambda: f"{' and '.join(names)}: {missing[0]}"
        swept = _swept(there[0])
        along = swept[-1] if swept else None
        for name in swept:
            self.sliders[name] = _slider(name, there[0][name].values)
        norm = maps.normalisation([one["dVdI"] for one in there], upper=99)
        colours = (style.CHANNEL_COLOURS[0], style.CHANNEL_COLOURS[2])
        map_axes, cursors, cuts = [], [], []
        cut = self.figure.add_axes((0.555, 0.56, 0.425, 0.35))
        ridge = self.figure.add_axes((0.555, 0.115, 0.425, 0.34))
        for i, (one, reason) in enumerate(zip(both, missing, strict=True)):
            axes = self.figure.add_axes((0.05 + 0.235 * i, 0.115, 0.2, 0.795), label="map")
            map_axes.append(axes)
            axes.set_title(f"{names[i]} ({self.pair[i].provenance})", loc="left", color=colours[i])
            if reason:
                style.not_measured(axes, reason)
                continue
            if along is not None:
                cursors.append(_cursor(axes))
            cuts.append((cut.plot([], [], color=colours[i], lw=1.1, label=names[i])[0], one))
        cut.set(xlabel=style.LABELS["I"], ylabel=style.LABELS["dVdI"])
        low = min(float(one["I"].min()) for one in there)
        cut.set_xlim(low, max(float(one["I"].max()) for one in there))
        cut.set_ylim(*_limits(maps.colour_limits([one["dVdI"] for one in there]), 0.1))
        cut.legend()
        label = style.field_label(there[0].attrs.get("orientation"))
        ridge.set(ylabel=style.LABELS["Ic"], xlabel=label if along == "B" else "")
        if along in ("T", "theta"):
            ridge.set_xlabel(style.LABELS[along])
        ridge_cursor = ridge.axvline(np.nan, color=style.MUTED, lw=0.7)
        shown: dict[str, Any] = {"artists": []}
        self.follow(*cursors, ridge_cursor, *(line for line, _ in cuts))

        def pictures(point: Mapping[str, float]) -> None:
            others = {name: value for name, value in point.items() if name != along}
            if shown.get("point") == others or along is None:
                return
            self._stale = True
            for artist in shown["artists"]:
                artist.remove()
            shown.update(point=others, artists=[])
            for i, (one, reason) in enumerate(zip(both, missing, strict=True)):
                if reason:
                    continue
                chosen = one.sel(others, method="nearest")
                before = {*map_axes[i].get_children(), *ridge.get_children()}
                maps.differential_resistance(
                    map_axes[i],
                    chosen["dVdI"],
                    along,
                    norm=norm,
                    orientation=one.attrs.get("orientation"),
                )
                maps.ridges(map_axes[i], chosen, along, size=2.2)
                ic = maps.single_axis(maps.resolved(chosen), along, "channel")
                error = maps.single_axis(chosen["Ic_err"], along, "channel")
                for position, k in enumerate(ic["channel"].values):
                    ridge.errorbar(
                        ic[along].values,
                        ic.isel(channel=position).values,
                        error.isel(channel=position).values,
                        color=colours[i],
                        mfc=colours[i] if i == 0 else "white",
                        marker=style.CHANNEL_MARKERS[int(k)],
                        ms=3,
                        lw=0.7,
                    )
                after = [*map_axes[i].get_children(), *ridge.get_children()]
                shown["artists"] += [a for a in after if a not in before]
            if ridge.containers:
                ridge.containers.clear()
            map_axes[-1].set_ylabel("")

        def move() -> str:
            point = {name: float(slider.value) for name, slider in self.sliders.items()}
            pictures(point)
            for line, one in cuts:
                chosen = one.sel(point, method="nearest") if point else one
                line.set_data(one["I"].values, chosen["dVdI"].squeeze().values)
            for cursor in cursors:
                cursor.set_ydata([point[along]] * 2)
            if along is not None:
                ridge_cursor.set_xdata([point[along]] * 2)
            where = ", ".join(f"{_LETTERS[n]} = {v:g} {_UNITS[n]}" for n, v in point.items())
            return f"{names[0]} beside {names[1]}" + (f" at {where}" if where else "")

        return move


def difference_table(first: Results, second: Results) -> Table:
    """Put the numbers of two samples side by side.

    Parameters
    ----------
    first, second : Results
        The samples; what is not built is computed.

    Returns
    -------
    Table
        Quantity, both values with uncertainty, and their difference over its standard uncertainty.
    """
    both = [numbers.collect(all_stages(one)) for one in (first, second)]
    rows = []
    for key, entry in numbers.NUMBER_KEYS.items():
        a, b = both[0][key], both[1][key]
        ratio = "–"
        if a.value is not None and b.value is not None:
            sigma = np.hypot(a.uncertainty or 0.0, b.uncertainty or 0.0)
            ratio = f"{(a.value - b.value) / sigma:+.1f}" if sigma > 0 else "–"
        rows.append((entry.symbol, str(a), str(b), ratio))
    return Table(("quantity", first.sample, second.sample, "difference / σ"), tuple(rows))


def claims_table(results: Results) -> Table:
    """Return the claims of the paper and what was found of each.

    Parameters
    ----------
    results : Results
        The sample; what is not built is computed.

    Returns
    -------
    Table
        Claim, what the paper says, published and recomputed value, verdict.
    """
    rows = tuple(
        (
            entry["id"],
            entry["statement"],
            entry["published"]["text"] or "–",
            claims.value_text(entry),
            entry["verdict"],
        )
        for entry in _judged(results)[0]
    )
    return Table(("claim", "what the paper says", "published", "found", "verdict"), rows)


# ---------------------------------------------------------------------------------- other choices
class Change:
    """What other analysis choices do to the claims and numbers of a sample.

    Parameters
    ----------
    base : Results
        The sample as analysed.
    choices : mapping of str to mapping
        Stage -> option -> value.

    Attributes
    ----------
    claims : list of tuple
        (claim before, claim after) of those whose verdict changed.
    moved : list of tuple
        (key, number before, number after) of those that changed.
    """

    def __init__(self, base: Results, choices: Mapping[str, Mapping[str, Any]]) -> None:
        self.choices = {stage: dict(changes) for stage, changes in choices.items()}
        before = _judged(base)
        after = before if not self.choices else _judged(VariedResults(base, self.choices))
        self.claims = [
            (old, new)
            for old, new in zip(before[0], after[0], strict=True)
            if old["verdict"] != new["verdict"]
        ]
        self.moved = [
            (key, old, after[1][key])
            for key, old in before[1].items()
            if str(old) != str(after[1][key])
        ]
        self.total = len(before[0])

    def __repr__(self) -> str:
        lines = [self.headline()]
        lines += [f"{old['id']}: {old['verdict']} -> {new['verdict']}" for old, new in self.claims]
        lines += [f"{key}: {old} -> {new}" for key, old, new in self.moved]
        return "\n".join(lines)

    def headline(self) -> str:
        """Return the outcome in one sentence."""
        text = ", ".join(
            f"{stage}: {option} = {json.dumps(value)}"
            for stage, changes in self.choices.items()
            for option, value in changes.items()
        )
        count = len(self.claims)
        verdicts = (
            "no verdict changes"
            if not count
            else f"{count} of {self.total} verdicts change{'s' if count == 1 else ''}"
        )
        moved = f"{len(self.moved)} numbers move" if self.moved else "no number moves"
        return f"With {text or 'the choices as configured'}: {verdicts}, {moved}."

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self.headline())}</b></p>"]
        if self.claims:
            rows = tuple(
                (
                    old["id"],
                    old["statement"],
                    f"{old['verdict']} ({claims.value_text(old)})",
                    f"{new['verdict']} ({claims.value_text(new)})",
                    new["reason"],
                )
                for old, new in self.claims
            )
            heads = ("claim", "statement", "as configured", "with this choice", "why")
            parts.append(Table(heads, rows)._repr_html_())
        if self.moved:
            rows = tuple(
                (numbers.NUMBER_KEYS[key].symbol, str(old), str(new))
                for key, old, new in self.moved
            )
            parts.append(Table(("number", "as configured", "with this choice"), rows)._repr_html_())
        return "".join(parts)


def what_if(base: Results, **choices: Mapping[str, Any]) -> Change:
    """Analyse a sample again under other choices.

    Parameters
    ----------
    base : Results
        The sample as analysed.
    **choices : mapping
        Stage -> {option: value}, e.g. ``kinks={"null_degrees": [3]}``.

    Returns
    -------
    Change

    Raises
    ------
    pydantic.ValidationError
        If there is no such option, or the value is out of its range.
    """
    return Change(base, choices)


def _judged(results: Results) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return ledger and numbers of some results."""
    stages = all_stages(results)
    ledger = claims.evaluate(_claims(), stages, results.geometry, results.measured)
    return ledger, numbers.collect(stages)


@lru_cache(maxsize=1)
def _claims() -> claims.ClaimsFile:
    return claims.load_claims(repo_root() / "workflow" / "config" / "claims.yaml")


class Choices:
    """Pick an analysis choice and see which claims and numbers move with it.

    The values offered are those the option declares for the sensitivity sweep: what another
    reasonable analyst would have taken.

    Parameters
    ----------
    results : Results
        The sample as analysed.
    stages : sequence of str, optional
        Stages offered; by default those that take seconds.
    """

    FAST = ("kinks", "angle", "temperature_laws", "transitions", "loops", "spectrum")

    def __init__(self, results: Results, stages: Sequence[str] = FAST) -> None:
        import ipywidgets as widgets

        self.results = results
        taken = {
            stage: json.loads(results.options(stage).model_dump_json())
            for stage in (*self.FAST, "critical_currents")
        }
        self.offered: dict[str, dict[str, list[Any]]] = {}
        for variant in variants(_schema(), taken):
            for stage, changes in variant.choices.items():
                if stage in stages:
                    for option, value in changes.items():
                        self.offered.setdefault(stage, {}).setdefault(option, []).append(value)
        self.taken = taken
        self.chosen: dict[str, dict[str, Any]] = {}
        self._known: dict[str, Change] = {}
        first = next(iter(self.offered))
        self.controls: dict[str, Any] = {
            "stage": _dropdown(list(self.offered), first, "stage", "250px"),
            "option": _dropdown(["–"], "–", "choice", "330px"),
            "value": _dropdown(["–"], "–", "value", "330px"),
        }
        self.button = widgets.Button(description="analyse again", button_style="primary")
        self.reset = widgets.Button(description="as configured")
        self.help = widgets.HTML()
        self.outcome = widgets.HTML()
        self.controls["stage"].observe(lambda _: self._options(), names="value")
        self.controls["option"].observe(lambda _: self._values(), names="value")
        self.button.on_click(lambda _: self.run())
        self.reset.on_click(lambda _: self.clear())
        self.last: Change | None = None
        self._box: Any = None
        self._options()

    def _options(self) -> None:
        option = self.controls["option"]
        option.options = list(self.offered[self.controls["stage"].value])
        option.value = option.options[0]
        self._values()

    def _values(self) -> None:
        stage, option = self.controls["stage"].value, self.controls["option"].value
        if option not in self.offered[stage]:
            return
        value = self.controls["value"]
        value.options = [(json.dumps(v), json.dumps(v)) for v in self.offered[stage][option]]
        value.value = value.options[0][1]
        words = _described(stage, option)
        self.help.value = (
            f"{words} Configured: <code>{json.dumps(self.taken[stage][option])}</code>"
        )

    def set(self, stage: str, option: str, value: Any) -> Choices:
        """Pick a choice as a hand would, without running it."""
        self.controls["stage"].value = stage
        self.controls["option"].value = option
        self.controls["value"].value = json.dumps(value)
        return self

    def run(self) -> Change:
        """Add the picked choice to those made so far, and analyse again."""
        stage, option = self.controls["stage"].value, self.controls["option"].value
        self.chosen.setdefault(stage, {})[option] = json.loads(self.controls["value"].value)
        return self._show()

    def clear(self) -> Change:
        """Return to the choices as configured."""
        self.chosen = {}
        return self._show()

    def _show(self) -> Change:
        key = json.dumps(self.chosen, sort_keys=True)
        if key not in self._known:
            self.outcome.value = "analysing again ..."
            try:
                self._known[key] = Change(self.results, self.chosen)
            except Exception as error:
                # what a button raises goes to JupyterLab's log, which nobody looks at
                self.outcome.value = f"This choice cannot be analysed: {escape(str(error))}"
                raise
        self.last = self._known[key]
        self.outcome.value = self.last._repr_html_()
        return self.last

    def __repr__(self) -> str:
        lines = [f"Choices for '{self.results.sample}':"]
        for stage, options in self.offered.items():
            lines.append(f"{stage}: {', '.join(options)}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        import ipywidgets as widgets

        if self._box is None:
            pick = widgets.HBox([self.controls[name] for name in ("stage", "option", "value")])
            buttons = widgets.HBox([self.button, self.reset])
            self._box = widgets.VBox([pick, self.help, buttons, self.outcome])
        return {
            "text/plain": repr(self),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self._box.model_id,
            },
        }


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return schema()


def _described(stage: str, option: str) -> str:
    """Return what an option means, from its description in the schema."""
    analysis = _schema()["$defs"]["Analysis"]["properties"][stage]
    reference = analysis.get("$ref") or analysis["allOf"][0]["$ref"]
    node = _schema()["$defs"][reference.rpartition("/")[2]]["properties"][option]
    return str(node.get("description", ""))

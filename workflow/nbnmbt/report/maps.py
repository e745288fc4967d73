"""Interactive maps of dV/dI for Figs. 3, 4 and 6: hover for values, a line cut under the cursor.

Each map is a Bokeh plot written as data for BokehJS, which the page loads once, from beside itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nbnmbt.numbers import format_value

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MAPS", "VARIABLES", "MapSpec", "bokeh_script", "map_item", "map_table"]


#: What a map is made of.
VARIABLES = ("dVdI", "Ic", "Ic_err", "censored")
#: Codes of dV/dI run from 1 to this; 0 stands for a point that was not measured.
LAST_CODE = 65535


@dataclass(frozen=True)
class MapSpec:
    """Which measurement a map shows, over which axis, at which field.

    Attributes
    ----------
    figure : int
        Number of the paper's figure.
    panel : str
        Letter of its panel.
    measurement : str
        Key of the critical currents.
    along : str
        ``T``, ``B`` or ``theta``.
    title : str
        Words above the map.
    field : float or None
        Field in T for maps over the angle.
    scale : str
        ``linear`` or ``compressed``, as in the figure.
    upper : float
        Percentile of dV/dI at which the colours end, as in the figure.
    """

    figure: int
    panel: str
    measurement: str
    along: str
    title: str
    field: float | None = None
    scale: Literal["linear", "compressed"] = "linear"
    upper: float = 99.5

    @property
    def name(self) -> str:
        """Name of the map's script and of its place on the page."""
        return f"fig{self.figure}{self.panel}"


#: The maps of the paper.
MAPS: tuple[MapSpec, ...] = (
    MapSpec(
        3, "a", "iv_temperature", "T", "dV/dI (Ω) over current and temperature", scale="compressed"
    ),
    MapSpec(
        4, "a", "iv_out_of_plane", "B", "dV/dI (Ω) over current and out-of-plane field", upper=98
    ),
    MapSpec(4, "c", "iv_in_plane", "B", "dV/dI (Ω) over current and in-plane field", upper=98),
    *(
        MapSpec(
            6,
            panel,
            "iv_angle",
            "theta",
            f"dV/dI (Ω) over current and angle at {field} T",
            field,
            upper=97,
        )
        for panel, field in (("b", 1), ("c", 4), ("d", 7), ("e", 9))
    ),
)

_AXES = {
    "T": ("T", "K", "Temperature T (K)"),
    "B": ("B", "T", "Magnetic field B (T)"),
    "theta": ("θ", "°", "In-plane angle θ (°)"),
}


@dataclass(frozen=True)
class _Content:
    """The numbers of one map."""

    I: np.ndarray
    rows: np.ndarray
    dvdi: np.ndarray
    Ic: np.ndarray
    Ic_err: np.ndarray
    channels: list[int]


def _content(currents: xr.Dataset, spec: MapSpec) -> _Content | None:
    """Select what the map shows; None when the sample did not measure it."""
    if not int(currents.attrs.get("measured", 1)) or "dVdI" not in currents:
        return None
    chosen = currents
    if spec.field is not None:
        fields = np.asarray(chosen["B"].values, float)
        if not fields.size or np.min(np.abs(fields - spec.field)) > 0.05:
            return None
        chosen = chosen.sel(B=spec.field, method="nearest")
    others = [d for d in ("T", "B", "theta") if d != spec.along and d in chosen.dims]
    chosen = chosen.isel(dict.fromkeys(others, 0)).sortby(spec.along)
    dvdi = chosen["dVdI"].transpose(spec.along, "I").values.astype(float)
    known = np.isfinite(dvdi).any(axis=1)
    if not known.any():
        return None
    chosen, dvdi = chosen.isel({spec.along: known}), dvdi[known]
    resolved = chosen["Ic"].where(chosen["censored"] == 0)
    return _Content(
        I=chosen["I"].values.astype(float),
        rows=chosen[spec.along].values.astype(float),
        dvdi=dvdi,
        Ic=resolved.transpose("channel", spec.along).values.astype(float),
        Ic_err=chosen["Ic_err"].transpose("channel", spec.along).values.astype(float),
        channels=[int(k) for k in chosen["channel"].values],
    )


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders half-way between neighbours; the outer ones as far out as the next are in."""
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    inner = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - inner[0], inner, 2 * centres[-1] - inner[-1]]


def _row_texts(content: _Content, along: str) -> list[str]:
    """Each row in words: set-point and fitted critical currents with their uncertainties."""
    symbol, unit, _ = _AXES[along]
    texts = []
    for row, value in enumerate(content.rows):
        found = [
            f"Ic{k} = {format_value(content.Ic[i, row], content.Ic_err[i, row])} mA"
            for i, k in enumerate(content.channels)
            if np.isfinite(content.Ic[i, row])
        ]
        words = ", ".join(found) if found else "no critical current resolved"
        texts.append(f"{symbol} = {value:.4g}{'' if unit == '°' else ' '}{unit}: {words}")
    return texts


def map_table(currents: xr.Dataset, spec: MapSpec) -> list[str] | None:
    """Return the rows of a map in words, for its slider; None when there is no map."""
    content = _content(currents, spec)
    return None if content is None else _row_texts(content, spec.along)


def map_item(
    currents: xr.Dataset, spec: MapSpec, together: Sequence[xr.Dataset] = ()
) -> dict[str, Any] | None:
    """Build one map with its line cut.

    Parameters
    ----------
    currents : Dataset
        ``critical_currents/{measurement}``: ``dVdI`` (ohm), ``Ic``, ``Ic_err`` (mA), ``censored``.
    spec : MapSpec
        What to show.
    together : sequence of Dataset
        Critical currents of all maps of the figure, which share one colour scale.

    Returns
    -------
    dict or None
        For ``Bokeh.embed.embed_item``; None when the sample lacks the measurement.
    """
    content = _content(currents, spec)
    if content is None:
        return None
    from bokeh.embed import json_item
    from bokeh.layouts import column
    from bokeh.models import (
        ColorBar,
        ColumnDataSource,
        CustomJS,
        CustomJSHover,
        DataRange1d,
        FixedTicker,
        HoverTool,
        LinearColorMapper,
        Range1d,
    )
    from bokeh.palettes import cividis
    from bokeh.plotting import figure

    from nbnmbt.plotting.style import CHANNEL_COLOURS

    symbol, unit, axis_label = _AXES[spec.along]
    scale = _scale(content.dvdi, spec, together or [currents])
    codes = scale.encode(content.dvdi)
    edges_I, edges_y = _edges(content.I), _edges(content.rows)
    width = float(edges_I[-1] - edges_I[0])
    count = content.rows.size
    texts = _row_texts(content, spec.along)
    source = ColumnDataSource(
        {
            # one image a row: set-points need not be equally spaced
            "image": [row[None, :] for row in codes],
            "x": [float(edges_I[0])] * count,
            "y": [float(v) for v in edges_y[:-1]],
            "dw": [width] * count,
            "dh": [float(v) for v in np.diff(edges_y)],
            "at": [float(v) for v in content.rows],
            "words": texts,
            **{
                f"Ic{k}": [float(v) if np.isfinite(v) else None for v in content.Ic[i]]
                for i, k in enumerate(content.channels)
            },
        },
        name="rows",
        tags=[scale.tag],
    )
    x_range = Range1d(float(edges_I[0]), float(edges_I[-1]))
    tools = "pan,box_zoom,reset"
    top = figure(
        height=380,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=Range1d(float(edges_y[0]), float(edges_y[-1])),
        x_axis_label="Bias current I (mA)",
        y_axis_label=axis_label,
        tools=tools,
        toolbar_location="above",
        name="map",
    )
    mapper = LinearColorMapper(
        palette=cividis(256), low=1, high=scale.highest_colour, low_color="#D9D9D9"
    )
    image = top.image(
        image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper, source=source
    )
    top.toolbar.logo = None
    top.add_tools(
        HoverTool(
            renderers=[image],
            tooltips=[
                ("I", "$x{0.000} mA"),
                (symbol, f"@at {unit}"),
                ("dV/dI", "@image{custom} Ω"),
            ],
            formatters={
                "@image": CustomJSHover(
                    args={"name": spec.name},
                    code="return window.nbnmbtReport.ohm(name, value).toFixed(2)",
                )
            },
        )
    )
    bar = ColorBar(
        color_mapper=LinearColorMapper(palette=cividis(256), low=1, high=scale.highest_colour),
        ticker=FixedTicker(ticks=list(scale.ticks)),
        major_label_overrides=dict(scale.ticks),
        width=10,
        padding=4,
    )
    top.add_layout(bar, "right")
    markers = ("circle", "triangle", "square", "diamond")
    for i, k in enumerate(content.channels):
        keep = np.isfinite(content.Ic[i])
        top.scatter(
            content.Ic[i][keep],
            content.rows[keep],
            marker=markers[k % 4],
            size=6,
            fill_color=CHANNEL_COLOURS[k % 4],
            line_color="white",
            line_width=0.7,
        )
    cut = ColumnDataSource({"I": content.I, "dvdi": content.dvdi[0]}, name="cut")
    here = ColumnDataSource({"y": [float(content.rows[0])]}, name="here")
    top.hspan(y="y", source=here, line_color="white", line_width=1.2, line_dash="dashed")
    bottom = figure(
        height=230,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=DataRange1d(only_visible=True, range_padding=0.05),
        # logarithmic, as on the figures: peaks of a few per cent beside a tenfold one
        y_axis_type="log" if np.nanmin(content.dvdi) > 0 else "linear",
        x_axis_label="Bias current I (mA)",
        y_axis_label="dV/dI (Ω)",
        tools=tools,
        toolbar_location=None,
        name="cut_plot",
        # as wide as the map, so that both current axes stand above each other
        min_border_right=62,
    )
    for plot in (top, bottom):
        plot.min_border_left = 62
    bottom.yaxis.minor_tick_line_color = None
    bottom.line("I", "dvdi", source=cut, line_color="#222222", line_width=1.4)
    marks = ColumnDataSource({"x": [], "colour": [], "name": []}, name="marks")
    bottom.vspan(x="x", line_color="colour", line_width=1.6, line_dash="dashed", source=marks)
    follow = CustomJS(
        args={"name": spec.name},
        code="window.nbnmbtReport.follow(name, cb_obj.y)",
    )
    top.js_on_event("mousemove", follow)
    top.js_on_event("tap", follow)
    return json_item(column(top, bottom, sizing_mode="stretch_width"))


@dataclass(frozen=True)
class _Scale:
    """How dV/dI is written as integers: linear, or asinh above a resistance as on the figures.

    The page holds two bytes a point instead of eight; a step is at most 2e-5 of the range of the
    scale. `report.js` has the inverse.
    """

    lowest: float
    step: float
    offset: float
    width: float
    highest_colour: float
    ticks: dict[float, str]

    def place(self, dvdi: Any) -> Any:
        """Place on the scale, before it is divided into steps."""
        values = np.asarray(dvdi, float)
        return np.arcsinh((values - self.offset) / self.width) if self.width else values

    def code(self, dvdi: Any) -> Any:
        """Place on the scale in steps, the lowest at 1."""
        return 1 + (self.place(dvdi) - self.lowest) / self.step

    def encode(self, dvdi: np.ndarray) -> np.ndarray:
        """Codes of a map; 0 where nothing was measured."""
        codes = np.where(np.isfinite(dvdi), np.round(self.code(dvdi)), 0)
        return codes.astype(np.uint16)

    @property
    def tag(self) -> dict[str, float]:
        """What the page needs to get the values back."""
        return {
            "lowest": self.lowest,
            "step": self.step,
            "offset": self.offset,
            "width": self.width,
        }


def _scale(dvdi: np.ndarray, spec: MapSpec, together: Sequence[xr.Dataset]) -> _Scale:
    """Return the colour scale of the figure for a map that is one of its panels."""
    from dataclasses import replace

    from nbnmbt.plotting import maps as drawn

    known = [data["dVdI"] for data in together if "dVdI" in data]
    norm = drawn.normalisation(known, spec.scale, upper=spec.upper)
    low, high = float(norm.vmin), float(norm.vmax)
    width = 0.01 * (high - low) if spec.scale == "compressed" else 0.0
    scale = _Scale(lowest=0.0, step=1.0, offset=low, width=width, highest_colour=0.0, ticks={})
    places = scale.place(dvdi[np.isfinite(dvdi)])
    lowest, highest = float(places.min()), float(places.max())
    step = (highest - lowest) / (LAST_CODE - 1) or 1.0
    scale = replace(scale, lowest=lowest, step=step)
    ticks = {float(scale.code(tick)): f"{tick:.6g}" for tick in drawn.colour_ticks(norm)}
    return replace(scale, highest_colour=float(scale.code(high)), ticks=ticks)


def bokeh_script() -> bytes:
    """Return BokehJS, the only script that a map needs, as shipped with the Bokeh package."""
    from pathlib import Path

    import bokeh

    return Path(bokeh.__file__).with_name("server").joinpath("static/js/bokeh.min.js").read_bytes()

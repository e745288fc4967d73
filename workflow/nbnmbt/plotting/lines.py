"""Line panels: R(T), R(B), dV/dI, stacks of profiles, critical currents against T and B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from nbnmbt.plotting import maps, style


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A quantity marked on a panel: where, how well known, and under which symbol.

    Attributes
    ----------
    value : float or None
        Position on the horizontal axis; None (not determined) is not drawn.
    uncertainty : float or None
        Standard uncertainty in the same unit.
    symbol : str
        Symbol in mathtext, for instance ``$T_c$``.
    colour : str
        Colour of line and symbol.
    """

    value: float | None
    symbol: str
    uncertainty: float | None = None
    colour: str = style.INK

    @property
    def drawable(self) -> bool:
        """Whether there is a value to draw."""
        return self.value is not None and bool(np.isfinite(self.value))


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, name: str, **kwargs) -> Line2D:
    (line,) = axes.plot(x, y, **kwargs)
    style.name_artist(axes, line, name)
    return line


def draw_marks(axes: Axes, marks: Sequence[Mark], *, height: float = 0.97) -> None:
    """Draw dashed verticals with their symbol beside the upper end, uncertainty as a band.

    A symbol stands to the right of its line, or to the left where a neighbour or the frame is near.
    """
    low, high = axes.get_xlim()
    inside = [m for m in marks if m.drawable and low <= m.value <= high]
    named = sorted((m for m in inside if m.symbol), key=lambda m: m.value)
    for mark in inside:
        axes.axvline(mark.value, color=mark.colour, lw=0.6, ls="--", zorder=1)
        if mark.uncertainty:
            axes.axvspan(
                mark.value - mark.uncertainty,
                mark.value + mark.uncertainty,
                color=mark.colour,
                alpha=0.18,
                lw=0,
                zorder=0.8,
            )
    for index, mark in enumerate(named):
        fraction = (mark.value - low) / (high - low)
        follows = named[index + 1].value - mark.value if index + 1 < len(named) else np.inf
        left = fraction > 0.87 or (follows < 0.2 * (high - low) and fraction > 0.2)
        axes.annotate(
            mark.symbol,
            (mark.value, height),
            xycoords=("data", "axes fraction"),
            xytext=(-2 if left else 2, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            color=mark.colour,
        )


def resistance_temperature(
    axes: Axes,
    data: xr.Dataset,
    *,
    marks: Sequence[Mark] = (),
    colour: str = style.INK,
) -> xr.Dataset:
    """Draw R(T) of one configuration with transitions marked.

    Parameters
    ----------
    data : Dataset
        ``R`` in ohm over the measured temperature T in K.

    Returns
    -------
    Dataset
        ``R(T)``.
    """
    drawn = _resistance(axes, data["R"], "T", colour)
    axes.set(xlabel=style.LABELS["T"], ylabel=style.LABELS["R"], xlim=(0, _edge(drawn["T"].max())))
    _headroom(axes, drawn["R"].values, above=0.16)
    draw_marks(axes, marks)
    return drawn


def magnetoresistance(
    axes: Axes,
    data: xr.Dataset,
    *,
    marks: Sequence[Mark] = (),
    colour: str = style.INK,
    orientation: str | None = "out-of-plane",
    minimum_span: float = 0.0,
) -> xr.Dataset:
    """Draw R(B) of a single sweep; marks are given at positive field and drawn at both signs.

    Parameters
    ----------
    data : Dataset
        ``R`` in ohm over the measured field B in T.
    minimum_span : float
        Least height of the panel in ohm, so that noise on a flat curve is not blown up.

    Returns
    -------
    Dataset
        ``R(B)``.
    """
    drawn = _resistance(axes, data["R"], "B", colour)
    axes.set(
        xlabel=style.field_label(orientation),
        ylabel=style.LABELS["R"],
        xlim=(_edge(drawn["B"].min()), _edge(drawn["B"].max())),
    )
    _headroom(axes, drawn["R"].values, above=0.2, minimum=minimum_span)
    mirrored = [
        Mark(value=-m.value, symbol="", uncertainty=m.uncertainty, colour=m.colour)
        for m in marks
        if m.drawable
    ]
    draw_marks(axes, [*marks, *mirrored])
    return drawn


def _resistance(axes: Axes, resistance: xr.DataArray, along: str, colour: str) -> xr.Dataset:
    """Draw R over T or B; a sweep in both directions gives two lines in the branch colours."""
    if "branch" not in resistance.dims:
        table = maps.single_axis(resistance, along)
        _line(axes, table[along].values, table.values, "R", color=colour)
        dims: tuple[str, ...] = (along,)
    else:
        table = maps.single_axis(resistance, along, "branch").transpose("branch", along)
        for branch, values in zip(table["branch"].values, table.values, strict=True):
            (line,) = axes.plot(
                table[along].values, values, color=style.BRANCH_COLOURS[str(branch)], label=branch
            )
            style.name_artist(axes, line, f"R_{branch}")
        axes.legend(loc="lower right")
        dims = ("branch", along)
    drawn = xr.Dataset(
        {"R": style.quantity(table.values, dims, "ohm", "resistance")},
        coords={along: maps.coordinate(table, along)},
    )
    if "branch" in dims:
        drawn = drawn.assign_coords(branch=("branch", [str(b) for b in table["branch"].values]))
    return drawn


def differential_resistance(
    axes: Axes,
    dvdi: xr.DataArray,
    *,
    peaks: Sequence[Mark] = (),
    zero_bias: str | None = None,
    colour: str = style.INK,
    minimum_span: float = 0.0,
) -> xr.Dataset:
    """Draw dV/dI(I) of one sweep, an arrow at each critical current of both polarities.

    Parameters
    ----------
    dvdi : DataArray
        Differential resistance in ohm over I in mA.
    peaks : sequence of Mark
        Critical currents in mA (positive; drawn at both polarities, labelled at the positive one).
    zero_bias : str, optional
        Symbol set above the zero-bias peak (``AR``).
    minimum_span : float
        Least height of the panel in ohm.

    Returns
    -------
    Dataset
        ``dVdI(I)``.
    """
    curve = maps.single_axis(dvdi, "I")
    x, y = curve["I"].values, curve.values
    _line(axes, x, y, "dVdI", color=colour)
    axes.set(
        xlabel=style.LABELS["I"],
        ylabel=style.LABELS["dVdI"],
        xlim=(float(np.nanmin(x)), float(np.nanmax(x))),
    )
    _headroom(axes, y, above=0.36, minimum=minimum_span)
    span = np.nanmax(y) - np.nanmin(y) or 1.0
    shown = sorted((m for m in peaks if m.drawable), key=lambda m: m.value)
    for index, mark in enumerate(shown):
        # symbols of close neighbours go to the outer sides of their arrows
        close = 0.1 * (x.max() - x.min())
        crowded_right = index + 1 < len(shown) and shown[index + 1].value - mark.value < close
        crowded_left = index > 0 and mark.value - shown[index - 1].value < close
        side = {(True, False): "right", (False, True): "left"}.get(
            (crowded_right, crowded_left), "center"
        )
        for sign in (-1, 1):
            position = sign * mark.value
            if not x.min() <= position <= x.max():
                continue
            near = np.abs(x - position) < 0.02 * (x.max() - x.min())
            top = float(np.nanmax(y[near])) if near.any() else float(np.nanmax(y))
            tip, tail = top + 0.015 * span, top + 0.16 * span
            axes.annotate(
                "",
                xy=(position, tip),
                xytext=(position, tail),
                arrowprops={
                    "arrowstyle": "-|>,head_width=0.12,head_length=0.28",
                    "lw": 0.6,
                    "color": mark.colour,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )
            if sign > 0:
                shift = {"right": (1.5, 1), "left": (-1.5, 1), "center": (0, 1)}[side]
                axes.annotate(
                    mark.symbol,
                    (position, tail),
                    xytext=shift,
                    textcoords="offset points",
                    ha=side,
                    va="bottom",
                    color=mark.colour,
                )
    if zero_bias:
        near = np.abs(x) < 0.02 * (x.max() - x.min())
        axes.annotate(
            zero_bias,
            (0, float(np.nanmax(y[near]))),
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=style.ANDREEV_COLOUR,
        )
    return _drawn_curve(
        "dVdI", y, "I", x, "ohm", "differential resistance dV/dI", "mA", "bias current"
    )


def _edge(value: xr.DataArray) -> float:
    """Return the end of an axis: the round number that an instrument meant by 39.98 K."""
    found = float(value)
    meant = round(found)
    return float(meant) if abs(found - meant) < 0.01 * abs(meant) else found


def _headroom(
    axes: Axes,
    values: np.ndarray,
    *,
    above: float,
    below: float = 0.06,
    minimum: float = 0.0,
) -> None:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high - low < minimum:
        low, high = (low + high - minimum) / 2, (low + high + minimum) / 2
    span = (high - low) or max(abs(high), 1.0) * 0.1
    axes.set_ylim(low - below * span, high + above * span)


def _drawn_curve(
    name: str,
    y: np.ndarray,
    dim: str,
    x: np.ndarray,
    units: str,
    long_name: str,
    x_units: str,
    x_name: str,
) -> xr.Dataset:
    return xr.Dataset(
        {name: style.quantity(y, dim, units, long_name)},
        coords={dim: style.quantity(x, dim, x_units, x_name)},
    )


def select_profiles(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of about ``count`` set-points spread evenly over the range of ``values``.

    Even in value, not in index: where the grid is dense a stack would otherwise crowd.
    """
    if len(values) <= count:
        return np.arange(len(values))
    targets = np.linspace(values.min(), values.max(), count)
    return np.unique(np.argmin(np.abs(values[:, None] - targets[None, :]), axis=0))


def stack(
    axes: Axes,
    dvdi: xr.DataArray,
    along: Literal["T", "B", "theta"],
    *,
    currents: xr.Dataset | None = None,
    count: int = 16,
    normalise: bool = False,
    compress: bool = False,
    step: float | None = None,
    label_unit: str = "",
) -> xr.Dataset:
    """Draw offset profiles of dV/dI with dashed guides along the critical currents.

    Parameters
    ----------
    dvdi : DataArray
        Differential resistance in ohm over I in mA and ``along``.
    currents : Dataset, optional
        ``Ic`` over channel and ``along``; a dashed guide joins the profiles at each resolved one.
    count : int
        Number of profiles, evenly spread over the range of set-points.
    normalise : bool
        Divide each profile by its value at the largest current (the normal state there).
    compress : bool
        Draw the decimal logarithm, when weak and strong peaks have to be seen together.
    step : float, optional
        Offset between neighbours in the drawn unit; from the spread of the profiles if not given.

    Returns
    -------
    Dataset
        ``profile(along, I)`` with the offset added, ``offset(along)`` and, with ``currents``,
        ``guide_I(channel, along)`` and ``guide(channel, along)``: the points of the dashed guides.
    """
    table = maps.single_axis(dvdi, along, "I").transpose(along, "I")
    rows = select_profiles(table[along].values, count)
    table = table.isel({along: rows})
    x, setpoints = table["I"].values, table[along].values
    y = table.values
    units, long_name = "ohm", "differential resistance dV/dI, offset"
    ylabel = style.LABELS["dVdI"] + ", offset"
    if normalise:
        edge = np.abs(x) > 0.98 * np.nanmax(np.abs(x))
        y = y / np.nanmean(y[:, edge], axis=1, keepdims=True)
        units, long_name = "1", "dV/dI over its value at the largest current, offset"
        ylabel = "normalised d$V$/d$I$, offset"
    if compress:
        y = np.log10(y)
        units, long_name = "1", "decimal logarithm of " + long_name
        ylabel = "log. of normalised d$V$/d$I$, offset" if normalise else "log. of " + ylabel
    if step is None:
        spread = np.nanpercentile(y, 99.0, axis=1) - np.nanpercentile(y, 1.0, axis=1)
        step = float(np.nanmedian(spread)) * 0.55
    offset = step * np.arange(len(setpoints))
    shifted = y + offset[:, None]
    colours = style.sequential_colours(len(setpoints))
    for index in range(len(setpoints)):
        (line,) = axes.plot(
            x, shifted[index], color=colours[index], lw=0.7, zorder=4 - 0.01 * index
        )
        style.name_artist(axes, line, "profile", index)
    drawn = xr.Dataset(
        {
            "profile": style.quantity(shifted, (along, "I"), units, long_name),
            "offset": style.quantity(offset, along, units, "offset of the profile"),
        },
        coords={n: maps.coordinate(table, n) for n in (along, "I")},
    )
    if currents is not None:
        drawn = drawn.merge(_guides(axes, currents, along, x, shifted, setpoints))
    low = np.nanmin(shifted[0])
    high = np.nanmax(shifted[-1])
    axes.set(
        xlim=(x.min(), x.max()),
        ylim=(low - 0.6 * step, high + 1.5 * step),
        xlabel=style.LABELS["I"],
        ylabel=ylabel,
    )
    axes.tick_params(axis="y", which="both", left=False, right=False, labelleft=False)
    _label_profiles(axes, x, shifted, setpoints, label_unit)
    _scale_bar(axes, step, units, compress)
    return drawn


def _scale_bar(axes: Axes, step: float, units: str, compress: bool) -> None:
    """Draw what a length up the stack means: a resistance, a ratio or, if compressed, a factor."""
    if compress:
        factor = next(f for f in (2, 3, 5, 10, 100) if np.log10(f) >= 0.8 * step)
        length, text = float(np.log10(factor)), f"×{factor}"
    else:
        exponent = np.floor(np.log10(step))
        length = float(max(m for m in (1, 2, 5, 10) if m * 10**exponent <= 1.3 * step))
        length *= 10.0**exponent
        text = f"{length:.3g}" + (" Ω" if units == "ohm" else "")
    _, high = axes.get_ylim()
    low, right = axes.get_xlim()
    place = low + 0.035 * (right - low)
    top = high - 0.3 * step
    axes.plot([place, place], [top - length, top], color=style.INK, lw=1.1, solid_capstyle="butt")
    axes.annotate(
        text,
        (place, top - length / 2),
        xytext=(2.5, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.SMALL,
    )


def _guides(
    axes: Axes,
    currents: xr.Dataset,
    along: str,
    x: np.ndarray,
    shifted: np.ndarray,
    setpoints: np.ndarray,
) -> xr.Dataset:
    ic = maps.single_axis(maps.resolved(currents), along, "channel")
    ic = ic.sel({along: setpoints}, method="nearest")
    channels = ic["channel"].values
    positions = ic.transpose("channel", along).values
    heights = np.full(positions.shape, np.nan)
    for row in range(len(setpoints)):
        good = np.isfinite(shifted[row])
        inside = np.abs(positions[:, row]) <= np.nanmax(np.abs(x))
        right = np.interp(positions[:, row], x[good], shifted[row][good])
        heights[:, row] = np.where(inside & np.isfinite(positions[:, row]), right, np.nan)
    for index, channel in enumerate(channels):
        for sign in (1, -1):
            level = heights[index]
            if sign < 0:
                level = np.array(
                    [
                        np.interp(-p, x[np.isfinite(s)], s[np.isfinite(s)])
                        if np.isfinite(p) and np.isfinite(h)
                        else np.nan
                        for p, s, h in zip(positions[index], shifted, heights[index], strict=True)
                    ]
                )
            (line,) = axes.plot(
                sign * positions[index],
                level,
                ls="--",
                lw=0.8,
                color=style.CHANNEL_COLOURS[int(channel)],
                zorder=6,
            )
            if sign > 0:
                style.name_artist(axes, line, "guide", int(channel))
    return xr.Dataset(
        {
            "guide_I": style.quantity(positions, ("channel", along), "mA", "current of the guide"),
            "guide": style.quantity(heights, ("channel", along), "1", "height of the guide"),
        },
        coords={"channel": ("channel", channels, {"long_name": "k of the paper"})},
    )


def _label_profiles(
    axes: Axes,
    x: np.ndarray,
    shifted: np.ndarray,
    setpoints: np.ndarray,
    unit: str,
) -> None:
    """Write the set-point at the right end of each profile, fewer when they are dense."""
    height = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    low, high = axes.get_ylim()
    gap = (shifted[-1, -1] - shifted[0, -1]) / max(len(setpoints) - 1, 1) * height / (high - low)
    skip = max(1, int(np.ceil(7.0 / max(gap, 1e-9))))
    for index in range(0, len(setpoints), skip):
        last = np.flatnonzero(np.isfinite(shifted[index]))
        if last.size == 0:
            continue
        text = f"{setpoints[index]:.2f}".rstrip("0").rstrip(".")
        axes.annotate(
            f"{text} {unit}".strip(),
            (x[last[-1]], shifted[index][last[-1]]),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            ha="left",
            fontsize=style.SMALL,
            annotation_clip=False,
        )


def critical_currents(
    axes: Axes,
    currents: xr.Dataset,
    along: Literal["T", "B"],
    *,
    curves: Mapping[str, xr.Dataset] | None = None,
    orientation: str | None = None,
    channels: Sequence[int] | None = None,
    logarithmic: bool = False,
    guide: bool = False,
) -> xr.Dataset:
    """Draw Ic of all channels against T or B with error bars; censored points as upper limits.

    Parameters
    ----------
    currents : Dataset
        ``Ic``, ``Ic_err`` (mA), ``censored`` over channel and ``along``.
    curves : mapping of str to Dataset, optional
        Name of a law to its curves ``Ic(channel, along)`` on a fine grid, drawn as lines: the first
        solid, the next dashed, dotted.
    guide : bool
        Join the points of a channel by a thin dashed line (a guide to the eye, no model).

    Returns
    -------
    Dataset
        ``Ic``, ``Ic_err``, ``upper_limit`` over (channel, along) and ``fit_{law}`` over
        (channel, along_fit).
    """
    if channels is not None:
        currents = currents.sel(channel=list(channels))
    measured = maps.single_axis(maps.resolved(currents), along, "channel")
    errors = maps.single_axis(currents["Ic_err"], along, "channel").where(np.isfinite(measured))
    limits = xr.full_like(measured, np.nan)
    if "censored" in currents:
        limits = maps.single_axis(currents["Ic"].where(currents["censored"] == 1), along, "channel")
    x = measured[along].values
    drawn = xr.Dataset(
        {
            "Ic": style.quantity(measured.values, ("channel", along), "mA", "critical current"),
            "Ic_err": style.quantity(
                errors.values, ("channel", along), "mA", "standard uncertainty of Ic"
            ),
            "upper_limit": style.quantity(
                limits.values, ("channel", along), "mA", "upper limit where Ic is not resolved"
            ),
        },
        coords={
            along: maps.coordinate(measured, along),
            "channel": ("channel", measured["channel"].values, {"long_name": "k of the paper"}),
        },
    )
    dashes = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
    for number, (law, curve) in enumerate((curves or {}).items()):
        # beyond its critical temperature or field a law is zero: no line along the axis
        fine = curve["Ic"].transpose("channel", along).where(lambda ic: ic > 0)
        for index, channel in enumerate(fine["channel"].values):
            (line,) = axes.plot(
                fine[along].values,
                fine.values[index],
                color=style.CHANNEL_COLOURS[int(channel)],
                ls=dashes[number % len(dashes)],
                lw=0.9 if number == 0 else 0.7,
                zorder=2,
            )
            style.name_artist(axes, line, f"fit_{_key(law)}", int(channel))
        fine_dim = f"{along}_fit"
        drawn = drawn.merge(
            xr.Dataset(
                {
                    f"fit_{_key(law)}": style.quantity(
                        fine.values, ("fit_channel", fine_dim), "mA", f"{law} fitted to Ic"
                    )
                },
                coords={
                    fine_dim: style.quantity(
                        fine[along].values, fine_dim, "K" if along == "T" else "T", "grid of fits"
                    ),
                    "fit_channel": (
                        "fit_channel",
                        fine["channel"].values,
                        {"long_name": "k of the paper"},
                    ),
                },
            )
        )
    for index, channel in enumerate(measured["channel"].values):
        colour = style.CHANNEL_COLOURS[int(channel)]
        marker = style.CHANNEL_MARKERS[int(channel)]
        y, e = measured.values[index], errors.values[index]
        if guide:
            good = np.isfinite(y)
            axes.plot(x[good], y[good], color=colour, lw=0.6, ls="--", alpha=0.8, zorder=1.8)
        axes.errorbar(x, y, e, fmt="none", ecolor=colour, elinewidth=0.6, capsize=1.1, zorder=2.6)
        (points,) = axes.plot(
            x,
            y,
            ls="none",
            marker=marker,
            ms=2.8,
            mfc="white",
            mec=colour,
            mew=0.7,
            zorder=3,
            label=style.critical_current_symbol(int(channel)),
        )
        style.name_artist(axes, points, "Ic", int(channel))
        (upper,) = axes.plot(
            x, limits.values[index], ls="none", marker=r"$\downarrow$", ms=4, color=colour, mew=0.2
        )
        style.name_artist(axes, upper, "upper_limit", int(channel))
    axes.set(
        xlabel=style.LABELS["T"] if along == "T" else style.field_label(orientation),
        ylabel=style.LABELS["Ic"],
    )
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, None)
    return drawn


def law_legend(axes: Axes, laws: Sequence[str], **kwargs) -> Legend:
    """Legend of the fitted laws, line styles in black beside the coloured channels."""
    dashes = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
    handles = [
        Line2D(
            [],
            [],
            color=style.INK,
            lw=0.9,
            ls=dashes[i % len(dashes)],
            label=style.LAW_NAMES.get(law, law),
        )
        for i, law in enumerate(laws)
    ]
    return axes.legend(handles=handles, **({"loc": "upper right"} | kwargs))


def _key(law: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in law).strip("_")


def guide_legend(axes: Axes, channels: Sequence[int], **kwargs) -> Legend:
    """Put one row naming the dashed guides above the axes."""
    handles = [
        Line2D(
            [],
            [],
            color=style.CHANNEL_COLOURS[k],
            ls="--",
            lw=0.9,
            label=style.critical_current_symbol(k),
        )
        for k in channels
    ]
    options = {
        "loc": "lower right",
        "bbox_to_anchor": (1.0, 1.0),
        "ncols": max(len(handles), 1),
        "handlelength": 1.9,
        "columnspacing": 0.8,
        "borderaxespad": 0.15,
    }
    return axes.legend(handles=handles, **(options | kwargs))


def channel_line_legend(axes: Axes, channels: Sequence[int], **kwargs) -> Legend:
    """Legend of the open markers of the critical currents, largest current on top."""
    handles = [
        Line2D(
            [],
            [],
            ls="none",
            marker=style.CHANNEL_MARKERS[k],
            ms=2.8,
            mfc="white",
            mec=style.CHANNEL_COLOURS[k],
            mew=0.7,
            label=style.critical_current_symbol(k),
        )
        for k in sorted(channels, reverse=True)
    ]
    return axes.legend(handles=handles, **({"handlelength": 1.0} | kwargs))


def mark_kinks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draw the fields of the kinks as dashed verticals in the colours of their channels."""
    drawable = [mark for mark in marks if mark.drawable]
    for mark in drawable:
        axes.axvline(mark.value, color=mark.colour, lw=0.6, ls=(0, (3, 2)), zorder=1)
        if mark.uncertainty:
            low, high = mark.value - mark.uncertainty, mark.value + mark.uncertainty
            axes.axvspan(low, high, color=mark.colour, alpha=0.15, lw=0, zorder=0.8)
    if drawable:
        axes.annotate(
            "kink",
            (max(m.value for m in drawable), 0.985),
            xycoords=("data", "axes fraction"),
            xytext=(2.5, 0),
            textcoords="offset points",
            va="top",
            color=style.MUTED,
        )

"""Colour maps of dV/dI over bias current and T, B or theta, with the tracked ridges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from nbnmbt.plotting import style

AXES: tuple[str, ...] = ("T", "B", "theta")
"""Set-point axes a map or a stack can run over."""


def single_axis(array: xr.DataArray, along: str, *keep: str) -> xr.DataArray:
    """Return the array over ``keep`` and ``along`` only, the other dimensions having length one.

    Raises
    ------
    ValueError
        When another dimension is swept too: a map must not silently show one slice of it.
    """
    wanted = (*keep, along)
    for dim in array.dims:
        if dim not in wanted and array.sizes[dim] != 1:
            raise ValueError(
                f"{array.name} is swept over {dim} ({array.sizes[dim]} values): select one of them"
            )
    squeezed = array.squeeze([dim for dim in array.dims if dim not in wanted], drop=True)
    return squeezed.transpose(*(d for d in (*keep, along) if d in squeezed.dims), ...)


def colour_limits(
    arrays: Sequence[xr.DataArray], *, lower: float = 0.2, upper: float = 99.5
) -> tuple[float, float]:
    """Return colour limits in ohm, percentiles of all arrays together.

    Percentiles instead of extremes, because a single sharp peak would otherwise use up the colours.
    """
    values = np.concatenate([np.asarray(a.values, float).ravel() for a in arrays])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, [lower, upper])
    return float(low), float(high if high > low else low + 1.0)


def normalisation(
    arrays: Sequence[xr.DataArray],
    scale: Literal["linear", "compressed"] = "linear",
    *,
    lower: float = 0.2,
    upper: float = 99.5,
    linear_part: float = 0.01,
) -> Normalize:
    """Return one colour scale for several maps of the differential resistance.

    Parameters
    ----------
    arrays : sequence of DataArray
        The maps that share the scale, in ohm.
    scale : {"linear", "compressed"}
        ``compressed`` is asinh of the resistance above its minimum: linear over ``linear_part`` of
        the range, logarithmic beyond. It shows peaks of a few per cent beside a tenfold one.
    lower, upper : float
        Percentiles at which the colours end.
    linear_part : float
        Fraction of the range on which the compressed scale is about linear.
    """
    low, high = colour_limits(arrays, lower=lower, upper=upper)
    if scale == "linear":
        return Normalize(low, high)
    width = linear_part * (high - low)
    return FuncNorm(
        (
            lambda r: np.arcsinh((np.asarray(r, float) - low) / width),
            lambda c: low + width * np.sinh(np.asarray(c, float)),
        ),
        vmin=low,
        vmax=high,
    )


def colour_ticks(norm: Normalize, spacing: float = 0.085) -> list[float]:
    """Return round tick values for a colour bar, evenly enough spaced on its scale.

    Coarse multiples are placed first, finer ones where there is still room.
    """
    low, high = float(norm.vmin), float(norm.vmax)
    chosen: list[float] = []
    largest = 10.0 ** np.floor(np.log10(max(high - low, 1e-12)))
    for step in np.outer([1, 0.1, 0.01], [5, 2, 1]).ravel() * largest:
        for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step:
            place = float(norm(value))
            if step < 0.12 * (value - low):
                continue  # 38 ohm would be an odd number to print where 30 and 50 fit
            if 0 <= place <= 1 and all(abs(place - float(norm(c))) > spacing for c in chosen):
                chosen.append(float(value))
    return sorted(chosen)


def differential_resistance(
    axes: Axes,
    dvdi: xr.DataArray,
    along: Literal["T", "B", "theta"],
    *,
    norm: Normalize | None = None,
    orientation: str | None = None,
) -> tuple[QuadMesh, xr.Dataset]:
    """Draw a map of dV/dI with the bias current to the right and ``along`` upwards.

    Parameters
    ----------
    axes : Axes
    dvdi : DataArray
        Differential resistance in ohm over I (mA) and ``along``; other dimensions of length one.
    along : {"T", "B", "theta"}
        Axis drawn upwards.
    norm : Normalize, optional
        Colour scale; from percentiles of the data when not given.
    orientation : str, optional
        ``out-of-plane`` or ``in-plane``, for the label of the field axis.

    Returns
    -------
    mesh : QuadMesh
        The map, rasterised inside vector figures: only the mesh, axes and markers stay vector.
    drawn : Dataset
        ``dVdI(along, I)``.
    """
    table = single_axis(dvdi, along, "I").transpose(along, "I")
    # a set-point at which nothing was measured is a gap in the map, not a stretched neighbour
    norm = norm or normalisation([table])
    places, rows = table[along].values, np.ma.masked_invalid(table.values)
    if len(places) == 1:
        # one set-point has no neighbour to tell its height, and without one it would not be seen
        half = 5.0 if along == "theta" else 0.5
        places, rows = places[0] + np.array([-half, half]) / 2, np.ma.concatenate([rows, rows])
    mesh = axes.pcolormesh(
        table["I"].values,
        places,
        rows,
        norm=norm,
        cmap="cividis",
        shading="nearest",
        rasterized=True,
        zorder=0.5,
    )
    style.name_artist(axes, mesh, "dVdI")
    axes.set_facecolor("#D9D9D9")
    axes.set(
        xlim=(float(table["I"].min()), float(table["I"].max())),
        ylim=_limits(table[along].values),
        xlabel=style.LABELS["I"],
        ylabel=style.field_label(orientation) if along == "B" else style.LABELS[along],
    )
    axes.tick_params(which="both", color="white")
    axes.tick_params(axis="both", which="both", direction="in")
    if along == "theta":
        axes.set_yticks(np.arange(0, 361, 90))
        axes.yaxis.set_minor_locator(MultipleLocator(30))
    drawn = xr.Dataset(
        {
            "dVdI": style.quantity(
                table.values, (along, "I"), "ohm", "differential resistance dV/dI"
            )
        },
        coords={name: coordinate(table, name) for name in (along, "I")},
    )
    drawn["dVdI"].attrs |= {"colour_minimum": float(norm.vmin), "colour_maximum": float(norm.vmax)}
    return mesh, drawn


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def coordinate(table: xr.DataArray, name: str) -> xr.DataArray:
    """Return a set-point axis or the bias current with its unit and long name."""
    units = {"T": "K", "B": "T", "theta": "degree", "I": "mA"}[name]
    long_name = {"T": "temperature", "B": "magnetic field", "theta": "angle", "I": "bias current"}
    return style.quantity(table[name].values, name, units, long_name[name])


def ridges(
    axes: Axes,
    currents: xr.Dataset,
    along: Literal["T", "B", "theta"],
    *,
    size: float = 2.2,
    polarities: Sequence[int] = (1,),
) -> xr.Dataset:
    """Overlay the tracked critical currents on a map.

    By default they are drawn at positive current only: the fit treats both polarities together, and
    on the bare negative side the reader sees the ridges themselves.

    Parameters
    ----------
    currents : Dataset
        ``Ic(channel, T, B, theta)`` in mA, ``censored`` (1: not resolvable). Censored points are
        not drawn: there is no peak to point at.
    size : float
        Marker size in pt.
    polarities : sequence of {1, -1}
        Signs of the current at which the ridges are drawn.

    Returns
    -------
    Dataset
        ``Ic(channel, along)``.
    """
    ic = single_axis(resolved(currents), along, "channel")
    for position, channel in enumerate(ic["channel"].values):
        values = ic.isel(channel=position).values
        for sign in polarities:
            (line,) = axes.plot(
                sign * values,
                ic[along].values,
                ls="none",
                marker=style.CHANNEL_MARKERS[int(channel)],
                ms=size,
                mfc=style.CHANNEL_COLOURS[int(channel)],
                mec="white",
                mew=0.4,
                zorder=3,
                clip_on=True,
            )
            style.name_artist(axes, line, "Ic" if sign > 0 else "minus_Ic", int(channel))
    return xr.Dataset(
        {"Ic": style.quantity(ic.values, ("channel", along), "mA", "tracked critical current")},
        coords={
            "channel": ("channel", ic["channel"].values, {"long_name": "k of the paper"}),
        },
    )


def resolved(currents: xr.Dataset) -> xr.DataArray:
    """Return ``Ic`` in mA with the censored points missing."""
    ic = currents["Ic"]
    if "censored" in currents:
        ic = ic.where(currents["censored"] == 0)
    return ic


def channel_legend(axes: Axes, channels: Sequence[int], **kwargs) -> Legend:
    """Put one row of channel markers above the axes: valid wherever the ridges run."""
    handles = [
        Line2D(
            [],
            [],
            ls="none",
            marker=style.CHANNEL_MARKERS[k],
            ms=3,
            mfc=style.CHANNEL_COLOURS[k],
            mec="white",
            mew=0.3,
            label=style.critical_current_symbol(k),
        )
        for k in channels
    ]
    options = {
        "loc": "lower right",
        "bbox_to_anchor": (1.0, 1.0),
        "ncols": len(handles),
        "handletextpad": 0.05,
        "columnspacing": 0.7,
        "handlelength": 1.2,
        "borderaxespad": 0.15,
    }
    return axes.legend(handles=handles, **(options | kwargs))


def colour_bar(
    figure: Figure,
    mesh: ScalarMappable,
    place: tuple[float, float, float, float],
    *,
    label: str | None = None,
    orientation: Literal["vertical", "horizontal"] = "vertical",
) -> Axes:
    """Draw a colour bar at ``place`` (left, bottom, width, height in mm); label with unit."""
    axes = style.add_axes(figure, *place, show_letter=False)
    # a pointed end says that some of the map lies beyond the colours
    array = mesh.get_array()
    beyond = array is not None and float(np.nanmax(array)) > mesh.norm.vmax
    bar = figure.colorbar(
        mesh,
        cax=axes,
        orientation=orientation,
        extend="max" if beyond else "neither",
        extendfrac=0.03,
    )
    bar.solids.set_rasterized(True)
    bar.outline.set_linewidth(0.5)
    if isinstance(mesh.norm, FuncNorm):
        ticks = colour_ticks(mesh.norm)
        bar.set_ticks(ticks, labels=[f"{tick:.6g}" for tick in ticks])
        bar.minorticks_off()
    bar.set_label(label or style.LABELS["dVdI"], labelpad=2)
    axes.tick_params(which="both", direction="out", length=1.8, top=False, left=False)
    return axes


def resolved_channels(currents: xr.Dataset) -> list[int]:
    """Return the channels that are resolved at one set-point at least."""
    ic = resolved(currents)
    return [int(k) for k in ic["channel"].values if np.isfinite(ic.sel(channel=k)).any()]

"""Hysteresis loops: branches in their colours with sweep arrows, stacks over T, B_c and delta R."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nbnmbt.plotting import maps, style

_FACTORS: tuple[float, ...] = tuple(m * 10.0**e for e in range(7) for m in (1.0, 2.0, 5.0))


def _over_branch(data: xr.DataArray) -> xr.DataArray:
    if "branch" not in data.dims:
        # a field swept one way only: there is one branch, and no loop to see
        data = data.expand_dims(branch=["up"])
    return maps.single_axis(data, "B", "branch", "T").transpose("branch", "T", "B")


def stack(axes: Axes, data: xr.Dataset, *, fill: float = 2.6) -> xr.Dataset:
    r"""Draw the loops of all temperatures above one another on one common scale.

    Each loop is referred to its median and shifted. Where the background of the
    superconducting transition dwarfs the loops the curve is reduced by a round factor, written
    beside it; all other curves share the scale of the bar.

    Parameters
    ----------
    data : Dataset
        ``R(branch, T, B)`` in ohm; ``branch`` holds ``up`` (rising field) and ``down``.
    fill : float
        Height a curve may take, in steps of the stack, before it is reduced.

    Returns
    -------
    Dataset
        ``R(branch, T, B)`` as drawn, ``offset(T)`` in ohm, ``factor(T)`` by which it was divided
        and ``reference(T)`` that was subtracted.
    """
    table = _over_branch(data["R"])
    field, temperatures = table["B"].values, table["T"].values
    values = table.values
    reference = np.nanmedian(values, axis=(0, 2))
    height = np.nanmax(values, axis=(0, 2)) - np.nanmin(values, axis=(0, 2))
    step = float(np.nanmedian(height))
    factor = np.array(
        [next((f for f in _FACTORS if h / f <= fill * step), _FACTORS[-1]) for h in height]
    )
    offset = step * np.arange(len(temperatures))
    shifted = (values - reference[None, :, None]) / factor[None, :, None] + offset[None, :, None]
    # A temperature stands where its curve ends on the right, if they do not get into each other's
    # way there.
    ends = np.array([_last(shifted[:, i]) for i in range(len(temperatures))])
    if np.any(np.diff(ends) < 0.7 * step):
        ends = offset
    for index, temperature in enumerate(temperatures):
        for row, branch in enumerate(table["branch"].values):
            (line,) = axes.plot(
                field,
                shifted[row, index],
                color=style.BRANCH_COLOURS[str(branch)],
                lw=0.65,
                zorder=3 + 0.01 * (len(temperatures) - index),
            )
            style.name_artist(axes, line, f"R_{branch}", index)
        text = f"{temperature:g} K"
        if factor[index] != 1:
            text += f" (÷{factor[index]:g})"
        axes.annotate(
            text,
            (field.max(), ends[index]),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL,
            annotation_clip=False,
        )
    low, high = np.nanmin(shifted[:, 0]), np.nanmax(shifted[:, -1])
    axes.set(
        xlim=(field.min(), field.max()),
        ylim=(low - 0.7 * step, high + 1.6 * step),
        xlabel=style.field_label("out-of-plane"),
        ylabel=style.LABELS["R"] + ", offset",
    )
    axes.tick_params(axis="y", which="both", left=False, right=False, labelleft=False)
    _scale_bar(axes, step)
    sweep_arrows(axes, field, shifted[:, 0], [str(b) for b in table["branch"].values])
    return xr.Dataset(
        {
            "R": style.quantity(
                shifted, ("branch", "T", "B"), "ohm", "resistance less reference, reduced, offset"
            ),
            "offset": style.quantity(offset, "T", "ohm", "offset of the loop"),
            "factor": style.quantity(factor, "T", "1", "factor the loop was divided by"),
            "reference": style.quantity(reference, "T", "ohm", "median resistance of the loop"),
        },
        coords={
            "branch": (
                "branch",
                [str(b) for b in table["branch"].values],
                {"long_name": "direction of the field sweep"},
            ),
            "T": style.quantity(temperatures, "T", "K", "temperature"),
            "B": style.quantity(field, "B", "T", "magnetic field"),
        },
    )


def _last(curves: np.ndarray) -> float:
    """Return the mean of the last tenth of the points of all branches of one loop."""
    tail = curves[:, -max(1, curves.shape[1] // 10) :]
    return float(np.nanmean(tail)) if np.isfinite(tail).any() else float(np.nanmean(curves))


def _scale_bar(axes: Axes, step: float) -> None:
    exponent = np.floor(np.log10(step))
    length = max(m for m in (1, 2, 5, 10) if m * 10**exponent <= 1.3 * step) * 10.0**exponent
    low, high = axes.get_xlim()
    _, top = axes.get_ylim()
    place = low + 0.05 * (high - low)
    axes.plot([place] * 2, [top - 0.4 * step - length, top - 0.4 * step], color=style.INK, lw=1.1)
    text = f"{length * 1e3:g} mΩ" if length < 1 else f"{length:g} Ω"
    axes.annotate(
        text,
        (place, top - 0.4 * step - length / 2),
        xytext=(2.5, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.SMALL,
    )


def sweep_arrows(
    axes: Axes, field: np.ndarray, curves: np.ndarray, branches: Sequence[str]
) -> None:
    """Draw an arrow on each branch in the direction of its sweep, on the outer flanks of a loop."""
    span = float(np.nanmax(field) - np.nanmin(field))
    for row, branch in enumerate(branches):
        sign = 1 if branch == "up" else -1
        tail, head = sign * 0.20 * span, sign * 0.31 * span
        level = np.interp([tail, head], field, curves[row])
        colour = style.BRANCH_COLOURS[branch]
        axes.annotate(
            "",
            xy=(head, level[1]),
            xytext=(tail, level[0]),
            xycoords="data",
            zorder=8,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.2,head_length=0.42",
                "color": colour,
                "lw": 1.1,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )


def branch_legend(axes: Axes, **kwargs) -> None:
    """Name the branches above the axes."""
    handles = [
        Line2D([], [], color=style.BRANCH_COLOURS["up"], lw=1.0, label=r"$B$ rising →"),
        Line2D([], [], color=style.BRANCH_COLOURS["down"], lw=1.0, label=r"← $B$ falling"),
    ]
    options = {
        "loc": "lower right",
        "bbox_to_anchor": (1.0, 1.0),
        "ncols": 2,
        "borderaxespad": 0.15,
    }
    axes.legend(handles=handles, **(options | kwargs))


def temperature_dependence(
    axes: Axes,
    loops: xr.Dataset,
    name: Literal["B_c", "deltaR"],
    *,
    colour: str = style.INK,
    marker: str = "o",
    curve: xr.DataArray | None = None,
    vanishing: tuple[float | None, float | None] = (None, None),
    neel: tuple[float | None, float | None] = (None, None),
    excluded: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Draw B_c or the loop amplitude against T with error bars and where it vanishes.

    Parameters
    ----------
    loops : Dataset
        ``{name}(T)`` and ``{name}_err(T)``; missing values are not drawn.
    curve : DataArray, optional
        Fitted temperature dependence over a fine T.
    vanishing : tuple
        Vanishing temperature and its standard uncertainty in K, drawn as a bar on the T axis.
    neel : tuple
        Neel temperature and its standard uncertainty in K, drawn as a dashed vertical.
    excluded : sequence of (low, high)
        Temperature ranges that did not enter the fit, shaded.

    Returns
    -------
    Dataset
        ``{name}(T)``, ``{name}_err(T)`` and, if given, ``{name}_fit(T_fit_{name})``.
    """
    units = {"B_c": "T", "deltaR": "ohm"}[name]
    long_name = {"B_c": "coercive field", "deltaR": "hysteresis amplitude"}[name]
    x = loops["T"].values
    y, err = loops[name].values, loops[f"{name}_err"].values
    for low, high in excluded:
        axes.axvspan(low, high, color="#E4E4E4", lw=0, zorder=0.5)
    axes.axhline(0, color=style.MUTED, lw=0.5, zorder=0.8)
    if neel[0] is not None:
        axes.axvline(neel[0], color=style.MUTED, lw=0.7, ls="--", zorder=1)
    drawn = xr.Dataset(
        {
            name: style.quantity(y, "T", units, long_name),
            f"{name}_err": style.quantity(err, "T", units, f"standard uncertainty, {long_name}"),
        },
        coords={"T": style.quantity(x, "T", "K", "temperature")},
    )
    if curve is not None:
        (fit,) = axes.plot(curve["T"].values, curve.values, color=colour, lw=0.9, zorder=2)
        style.name_artist(axes, fit, f"{name}_fit")
        grid = f"T_fit_{name}"
        drawn = drawn.merge(
            xr.Dataset(
                {f"{name}_fit": style.quantity(curve.values, grid, units, f"fit, {long_name}")},
                coords={grid: style.quantity(curve["T"].values, grid, "K", "temperature")},
            )
        )
    axes.errorbar(x, y, err, fmt="none", ecolor=colour, elinewidth=0.6, capsize=1.1, zorder=2.6)
    (points,) = axes.plot(
        x, y, ls="none", marker=marker, ms=3.0, mfc="white", mec=colour, mew=0.8, zorder=3
    )
    style.name_artist(axes, points, name)
    good = np.isfinite(y)
    upper, lower = (y + sign * np.nan_to_num(err) for sign in (1, -1))
    top = float(np.max(upper[good])) if good.any() else 1.0
    low = float(np.min(lower[good])) if good.any() else 0.0
    top = top if top > 0 else max(-low, np.finfo(float).tiny)
    # heights that scatter about zero have bars below it
    bottom = min(-0.12 * top, low - 0.05 * (top - low))
    axes.set(xlabel=style.LABELS["T"], ylabel=style.LABELS[name], ylim=(bottom, 1.15 * top))
    if not good.any():
        axes.text(
            0.5,
            0.5,
            "not determined:\nno loop is detected",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=style.MUTED,
            fontsize=style.SMALL,
        )
    value, error = vanishing
    if value is not None:
        axes.errorbar(
            [value],
            [0],
            xerr=None if not error else [error],
            fmt="v",
            ms=4.0,
            mfc=colour,
            mec="white",
            mew=0.4,
            ecolor=colour,
            elinewidth=1.0,
            capsize=1.8,
            zorder=4,
        )
    return drawn

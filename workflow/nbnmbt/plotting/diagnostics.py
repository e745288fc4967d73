"""Panels that show a step of the analysis: a fit with its residual, a test statistic, a dependence.

They belong to the notebooks' thread, not to the paper: no panel letters, and nothing of them is
kept beyond the executed notebook. Where a measurement or a fit is missing they show the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from nbnmbt.plotting import maps, style
from nbnmbt.plotting.lines import Mark, draw_marks

_FIT = style.CHANNEL_COLOURS[2]
_DASHES = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))


def nothing(reason: str, *, title: str = "") -> style.PaperFigure:
    """Return a small figure that says why a step cannot be shown."""
    with style.context():
        figure = style.new_figure(style.SINGLE_COLUMN, 30)
        axes = style.add_axes(figure, 4, 4, 80, 20)
        # A step fails on data that are there, too; only a stage says "not measured".
        head = "" if reason.startswith("not ") else "not determined: "
        style.not_measured(axes, head + reason)
        if title:
            axes.set_title(title, loc="left")
    return figure


def _pair(title: str, width: float = style.SINGLE_COLUMN) -> tuple[style.PaperFigure, Axes, Axes]:
    """Return a figure with a tall upper and a low lower panel over one horizontal axis."""
    figure = style.new_figure(width, 78)
    upper = style.add_axes(figure, 15, 32, width - 19, 40)
    lower = style.add_axes(figure, 15, 10, width - 19, 19, sharex=upper)
    upper.tick_params(labelbottom=False)
    if title:
        upper.set_title(title, loc="left")
    return figure, upper, lower


def transition(step: Any, estimates: Mapping[str, Any], *, title: str = "") -> style.PaperFigure:
    """Draw a resistive transition normalised to its plateaux, and its slope, with T_c marked.

    Parameters
    ----------
    step : nbnmbt.analysis.resistive_transition.Transition
    estimates : mapping of str to Estimate
        Symbol to temperature, for instance ``{"$T_{50}$": ...}``.
    """
    if step.reason:
        return nothing(step.reason, title=title)
    with style.context():
        figure, upper, lower = _pair(title)
        upper.plot(step.T, step.r[0], color=style.CONFIGURATION_COLOURS["NbN"], lw=1.0)
        upper.axhline(0.5, color=style.MUTED, lw=0.5, ls=":")
        lower.plot(step.T, step.slope[0], color=style.CONFIGURATION_COLOURS["NbN"], lw=1.0)
        upper.set(
            ylabel=r"$(R - R_\mathrm{low})/(R_\mathrm{n} - R_\mathrm{low})$", ylim=(-0.05, 1.15)
        )
        lower.set(xlabel=style.LABELS["T"], ylabel="slope (1/K)")
        near = [e.value for e in estimates.values() if e.value is not None]
        if near:
            upper.set_xlim(min(near) - 0.8, max(near) + 0.8)
        draw_marks(upper, _marks(estimates))
        figure.align_ylabels([upper, lower])
    return figure


def _marks(estimates: Mapping[str, Any]) -> list[Mark]:
    return [
        Mark(value=e.value, uncertainty=e.uncertainty, symbol=symbol, colour=style.MUTED)
        for symbol, e in estimates.items()
    ]


def cusp(found: Any, estimates: Mapping[str, Any], *, title: str = "") -> style.PaperFigure:
    """Draw R(T) around its cusp and dR/dT, with the rival readings of T_N.

    Parameters
    ----------
    found : nbnmbt.analysis.neel.Cusp
    estimates : mapping of str to Estimate
        Symbol to temperature.
    """
    if found.reason:
        return nothing(found.reason, title=title)
    near = np.abs(found.T - found.centre) < 3.0
    with style.context():
        figure, upper, lower = _pair(title)
        colour = style.CONFIGURATION_COLOURS["MnBi2Te4"]
        upper.plot(found.T[near], found.R[0][near], color=colour, lw=1.0)
        lower.plot(found.T[near], found.slope[0][near], color=colour, lw=1.0)
        lower.axhline(0, color=style.MUTED, lw=0.5, ls=":")
        upper.set(ylabel=style.LABELS["R"], xlim=(found.centre - 3, found.centre + 3))
        low, high = upper.get_ylim()
        upper.set_ylim(low, high + 0.15 * (high - low))
        lower.set(xlabel=style.LABELS["T"], ylabel="d$R$/d$T$ (Ω/K)")
        draw_marks(upper, _marks(estimates))
        for estimate in estimates.values():
            if estimate.value is not None:
                lower.axvline(estimate.value, color=style.MUTED, lw=0.6, ls="--")
        figure.align_ylabels([upper, lower])
    return figure


def step_fit(fit: Any, estimates: Mapping[str, Any], *, title: str = "") -> style.PaperFigure:
    """Draw R(B) with the fitted steps, parabola and bend, and the residual.

    Parameters
    ----------
    fit : nbnmbt.analysis.magnetoresistance.StepFit
    estimates : mapping of str to Estimate
        Symbol to field; marked at both signs.
    """
    if fit.reason or not len(fit.B):
        return nothing(fit.reason or "not measured", title=title)
    order = np.argsort(fit.B)
    field, data, fitted = fit.B[order], fit.R[order], fit.fitted[order]
    with style.context():
        figure, upper, lower = _pair(title)
        upper.plot(field, data, ".", ms=1.8, color="#A8A8A8", label="measured")
        upper.plot(field, fitted, color=_FIT, lw=0.9, label="fit")
        low, high = float(np.min(data)), float(np.max(data))
        span = (high - low) or 1.0
        upper.set(
            ylabel=style.LABELS["R"],
            xlim=(field.min(), field.max()),
            ylim=(low - 0.25 * span, high + 0.35 * span),
        )
        lower.plot(field, 1e3 * (data - fitted), ".", ms=1.6, color=style.MUTED)
        lower.axhline(0, color=_FIT, lw=0.7)
        lower.set(xlabel=style.field_label("out-of-plane"), ylabel="residual (mΩ)")
        marks = _marks(estimates)
        mirrored = [Mark(value=-m.value, symbol="", colour=m.colour) for m in marks if m.drawable]
        draw_marks(upper, [*marks, *mirrored])
        upper.legend(loc="lower center", ncols=2)
        figure.align_ylabels([upper, lower])
    return figure


def channels_of_sweep(parts: xr.Dataset, *, title: str = "") -> style.PaperFigure:
    """Draw one V(I) sweep with its fit and residual, dV/dI, and the fitted parts.

    Parameters
    ----------
    parts : Dataset
        From `nbnmbt.analysis.channel_parts.channel_parts`. Each part is drawn as its deviation from
        the normal state, so that a channel of an ohm can be seen on a line of twenty.
    title : str
        One line above; the set-point of the sweep follows it.

    Returns
    -------
    PaperFigure
    """
    if style.missing(parts):
        return nothing(style.missing(parts), title=title)
    current = parts["I"].values
    measured = parts["V_fit"].values + parts["residual"].values
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 92)
        left = style.add_axes(figure, 14, 35, 68, 50)
        rest = style.add_axes(figure, 14, 11, 68, 20, sharex=left)
        right = style.add_axes(figure, 104, 52, 72, 33)
        lower = style.add_axes(figure, 104, 11, 72, 37, sharex=right)
        left.plot(current, measured, ".", ms=2.2, color=style.MUTED, label="measured")
        left.plot(current, parts["V_fit"], color=style.CHANNEL_COLOURS[2], lw=0.8, label="fitted")
        left.set(ylabel=style.LABELS["V"], xlim=(np.nanmin(current), np.nanmax(current)))
        left.legend(loc="upper left")
        rest.plot(current, 1e3 * parts["residual"].values, ".", ms=1.5, color=style.MUTED)
        rest.axhline(0, color=style.CHANNEL_COLOURS[2], lw=0.7)
        rest.set(xlabel=style.LABELS["I"], ylabel="residual (µV)")
        right.plot(current, parts["dVdI"], color="#B9B9B9", lw=1.8, label="measured, smoothed")
        right.plot(
            current, parts["dVdI_fit"], color=style.CHANNEL_COLOURS[2], lw=0.7, label="fitted"
        )
        right.set(ylabel=style.LABELS["dVdI"], xlim=(np.nanmin(current), np.nanmax(current)))
        low, high = right.get_ylim()
        right.set_ylim(low, high + 0.25 * (high - low))
        # on white, for the lines of the critical currents run through it
        right.legend(loc="upper center", ncols=2, frameon=True, framealpha=1, edgecolor="none")
        for channel, value in zip(parts["channel"].values, parts["Ic"].values, strict=True):
            if not np.isfinite(value):
                continue
            k = int(channel)
            for axes in (right, lower):
                for sign in (1, -1):
                    axes.axvline(
                        sign * value, color=style.CHANNEL_COLOURS[k], lw=0.5, ls=(0, (3, 2))
                    )
            excess = parts["excess_channel"].sel(channel=channel)
            lower.plot(
                current,
                excess,
                color=style.CHANNEL_COLOURS[k],
                lw=0.9,
                label=style.critical_current_symbol(k),
            )
        if np.any(parts["excess_andreev"].values):
            lower.plot(
                current,
                parts["excess_andreev"],
                color=style.ANDREEV_COLOUR,
                lw=0.9,
                label="Andreev",
            )
        lower.set(xlabel=style.LABELS["I"], ylabel=r"$V_k - R_k I$ (mV)")
        if lower.get_legend_handles_labels()[0]:
            lower.legend(loc="upper right", ncols=2)
        for axes in (left, right):
            axes.tick_params(labelbottom=False)
        figure.align_ylabels([left, rest])
        figure.align_ylabels([right, lower])
        # of the sweep that is drawn, which is the nearest to what was asked for
        words = [text for text in (title, parts.attrs.get("set_point")) if text]
        if words:
            left.set_title(", ".join(words), loc="left")
    return figure


def ridges_on_map(
    currents: xr.Dataset,
    along: str,
    *,
    orientation: str | None = None,
    limit: float | None = None,
    title: str = "",
) -> style.PaperFigure:
    """Draw the tracked ridges on their map at both polarities, one column wide.

    Parameters
    ----------
    currents : Dataset
        ``dVdI``, ``Ic``, ``censored``.
    along : {"T", "B", "theta"}
    limit : float, optional
        Largest current shown in mA.
    """
    if style.missing(currents):
        return nothing(style.missing(currents), title=title)
    with style.context():
        figure = style.new_figure(style.SINGLE_COLUMN, 72)
        axes = style.add_axes(figure, 12, 10, 57, 54)
        if along == "T":
            norm = maps.normalisation([currents["dVdI"]], "compressed")
        else:
            norm = maps.normalisation([currents["dVdI"]], upper=98)
        mesh, _ = maps.differential_resistance(
            axes, currents["dVdI"], along, norm=norm, orientation=orientation
        )
        maps.ridges(axes, currents, along, size=2.0, polarities=(1, -1))
        if limit is not None:
            axes.set_xlim(-limit, limit)
        maps.channel_legend(axes, maps.resolved_channels(currents))
        maps.colour_bar(figure, mesh, (71, 10, 2.2, 54))
        if title:
            axes.set_title(title, loc="left")
    return figure


def peak_height(
    curve: Any, fitted: tuple[ArrayLike, ArrayLike] | None, estimate: Any, *, title: str = ""
) -> style.PaperFigure:
    """Draw the height of the zero-bias peak against T with its fit and where it vanishes.

    Parameters
    ----------
    curve : nbnmbt.analysis.curves.Curve
        R(0)/R_bg - 1 against T.
    fitted : tuple of array_like
        T and fitted height on a fine grid.
    estimate : Estimate
        T_AR.
    """
    if not curve.n:
        return nothing("not measured", title=title)
    with style.context():
        figure = style.new_figure(style.SINGLE_COLUMN, 60)
        axes = style.add_axes(figure, 13, 10, 71, 44)
        with_errors(axes, curve.x, curve.y, curve.sigma, colour=style.ANDREEV_COLOUR)
        if fitted is not None:
            axes.plot(*fitted, color=style.INK, lw=0.8)
        axes.axhline(0, color=style.MUTED, lw=0.5)
        low, high = axes.get_ylim()
        axes.set(
            xlabel=style.LABELS["T"],
            ylabel=r"$R(0)/R_\mathrm{bg} - 1$",
            ylim=(low, high + 0.1 * (high - low)),
        )
        draw_marks(axes, _marks({r"$T_\mathrm{AR}$": estimate}))
        if title:
            axes.set_title(title, loc="left")
    return figure


def laws_of_channel(
    curve: Any, laws: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str = ""
) -> style.PaperFigure:
    """Draw one critical current against T with fitted laws and the deviation from each.

    Parameters
    ----------
    curve : nbnmbt.analysis.curves.Curve
        Ic (mA) against T (K).
    laws : mapping of str to (T, Ic)
        Law to its fitted curve on a fine grid.
    """
    if not curve.n:
        return nothing("not measured", title=title)
    with style.context():
        figure, upper, lower = _pair(title)
        with_errors(upper, curve.x, curve.y, curve.sigma)
        for number, (law, (T, ic)) in enumerate(laws.items()):
            colour = style.CHANNEL_COLOURS[(2, 0, 1, 3)[number % 4]]
            dash = _DASHES[number % len(_DASHES)]
            ic = np.asarray(ic, float)
            upper.plot(
                T,
                np.where(ic > 0, ic, np.nan),
                color=colour,
                ls=dash,
                lw=0.9,
                label=style.LAW_NAMES.get(law, law),
            )
            deviation = 1e3 * (curve.y - np.interp(curve.x, T, ic))
            lower.plot(curve.x, deviation, color=colour, lw=0.8, marker=".", ms=2.2, ls=dash)
        lower.fill_between(
            curve.x, -1e3 * curve.sigma, 1e3 * curve.sigma, color="#E2E2E2", lw=0, zorder=0.5
        )
        lower.axhline(0, color=style.INK, lw=0.6)
        upper.set(ylabel=style.LABELS["Ic"], ylim=(0, None))
        lower.set(xlabel=style.LABELS["T"], ylabel="data − law (µA)")
        upper.legend(loc="upper right")
        figure.align_ylabels([upper, lower])
    return figure


def kink_profiles(
    profiles: Mapping[int, tuple[ArrayLike, ArrayLike]],
    level: float | None,
    estimates: Mapping[int, Any],
    *,
    orientation: str = "out-of-plane",
    title: str = "",
) -> style.PaperFigure:
    """Draw the F statistic of a kink against the field it is tested at, channel by channel.

    Parameters
    ----------
    profiles : mapping of int to (field, F)
        Channel to its profile.
    level : float or None
        Calibrated quantile of the largest F, drawn as a horizontal line.
    estimates : mapping of int to Estimate
        Channel to the field of its kink.
    """
    drawn = {k: p for k, p in profiles.items() if len(p[0])}
    if not drawn:
        return nothing("not measured", title=title)
    with style.context():
        figure = style.new_figure(style.SINGLE_COLUMN, 60)
        axes = style.add_axes(figure, 13, 10, 71, 44)
        for k, (field, value) in drawn.items():
            axes.plot(
                field,
                np.maximum(value, 0.05),
                color=style.CHANNEL_COLOURS[k],
                lw=0.9,
                marker=style.CHANNEL_MARKERS[k],
                ms=2.0,
                label=style.critical_current_symbol(k),
            )
            estimate = estimates.get(k)
            if estimate is not None and estimate.value is not None:
                axes.axvline(estimate.value, color=style.CHANNEL_COLOURS[k], lw=0.7, ls=(0, (3, 2)))
        if level:
            axes.axhline(level, color=style.INK, lw=0.6, ls=(0, (4, 2)))
            axes.annotate(
                "99 % of smooth curves stay below",
                (0.02, level),
                xycoords=("axes fraction", "data"),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="left",
                va="bottom",
                fontsize=style.SMALL,
                path_effects=style.outlined(),
                zorder=5,
            )
        highest = max(level or 1.0, *(float(np.nanmax(value)) for _, value in drawn.values()))
        axes.set(
            xlabel=style.field_label(orientation),
            ylabel="$F$ of a kink at this field",
            yscale="log",
            ylim=(0.04, 12 * highest),
        )
        axes.legend(loc="upper right", ncols=3)
        if title:
            axes.set_title(title, loc="left")
    return figure


def over_angle(
    panels: Mapping[str, Mapping[int, tuple[Any, Any]]], *, title: str = ""
) -> style.PaperFigure:
    """Draw quantities over their angle mean against the in-plane angle, with fitted harmonics.

    Parameters
    ----------
    panels : mapping of str to mapping
        Label of a panel to {channel: (curve, fitted harmonics as a function of the angle)}; each
        quantity is drawn over its mean, so that modulations compare.
    """
    measured = any(curve.n for curves in panels.values() for curve, _ in curves.values())
    if not measured:
        return nothing("not measured", title=title)
    fine = np.linspace(0, 360, 181)
    with style.context():
        figure = style.new_figure(style.DOUBLE_COLUMN, 62)
        width = (style.DOUBLE_COLUMN - 6) / max(len(panels), 1)
        for index, (label, curves) in enumerate(panels.items()):
            axes = style.add_axes(figure, 15 + index * width, 10, width - 17, 44)
            for k, (curve, fit) in curves.items():
                if not curve.n:
                    continue
                colour, mean = style.CHANNEL_COLOURS[k], float(np.mean(curve.y))
                with_errors(
                    axes,
                    curve.x,
                    curve.y / mean,
                    curve.sigma / mean,
                    colour=colour,
                    marker=style.CHANNEL_MARKERS[k],
                    label=style.critical_current_symbol(k),
                )
                axes.plot(fine, fit(fine) / mean, color=colour, lw=0.8)
            low, high = axes.get_ylim()
            low, high = min(low, 0.97), max(high, 1.03)
            axes.set(
                xlabel=style.LABELS["theta"],
                ylabel=label,
                xlim=(-6, 366),
                ylim=(low, high + 0.2 * (high - low)),
            )
            axes.set_xticks(np.arange(0, 361, 90))
            axes.legend(loc="upper right", ncols=len(curves))
        if title:
            figure.axes[0].set_title(title, loc="left")
    return figure


def branches(
    field: ArrayLike,
    up: ArrayLike,
    down: ArrayLike,
    *,
    fit_up: ArrayLike | None = None,
    fit_down: ArrayLike | None = None,
    marks: Sequence[Mark] = (),
    title: str = "",
) -> style.PaperFigure:
    """Draw one loop, both branches with their joint fit, and below them both residuals.

    Parameters
    ----------
    field : array_like
        B in T.
    up, down : array_like
        R in ohm with rising and with falling field.
    fit_up, fit_down : array_like, optional
        Fitted R.
    marks : sequence of Mark
        Coercive field and the like.
    """
    field = np.asarray(field, float)
    if not field.size:
        return nothing("not measured", title=title)
    with style.context():
        figure, upper, lower = _pair(title)
        for name, values, fit in (("up", up, fit_up), ("down", down, fit_down)):
            colour = style.BRANCH_COLOURS[name]
            label = "$B$ rising →" if name == "up" else "← $B$ falling"
            upper.plot(field, values, ".", ms=2.0, color=colour, alpha=0.5, label=label)
            if fit is not None:
                upper.plot(field, fit, color=colour, lw=1.0)
                rest = 1e3 * (np.asarray(values, float) - np.asarray(fit, float))
                lower.plot(field, rest, ".", ms=1.6, color=colour, alpha=0.7)
        lower.axhline(0, color=style.INK, lw=0.6)
        low, high = upper.get_ylim()
        upper.set(
            ylabel=style.LABELS["R"],
            xlim=(np.nanmin(field), np.nanmax(field)),
            ylim=(low, high + 0.2 * (high - low)),
        )
        lower.set(xlabel=style.field_label("out-of-plane"), ylabel="residual (mΩ)")
        draw_marks(upper, marks, height=0.84)
        upper.legend(loc="upper right", ncols=2)
        figure.align_ylabels([upper, lower])
    return figure


def loop(loops: xr.Dataset, temperature: float, *, title: str = "") -> style.PaperFigure:
    """Draw the loop nearest to a temperature with the joint fit of its branches.

    Parameters
    ----------
    loops : Dataset
        ``R``, ``R_fit`` over branch, T and B; ``B_c``, ``B_c_err`` over T.
    temperature : float
        In K.
    """
    if not loops.sizes.get("T", 0):
        return nothing(str(loops.attrs.get("reason") or "not measured"), title=title)
    one = loops.sel(T=temperature, method="nearest")
    fit = one["R_fit"]
    fitted = {b: fit.sel(branch=b).values for b in ("up", "down")}
    coercive, error = float(one["B_c"]), float(one["B_c_err"])
    shift = float(loops.attrs.get("field_offset_T", 0.0))
    marks = [
        Mark(value=sign * coercive + shift, uncertainty=error, symbol=symbol, colour=colour)
        for sign, symbol, colour in (
            (1, r"$+B_\mathrm{c}$", style.BRANCH_COLOURS["up"]),
            (-1, r"$-B_\mathrm{c}$", style.BRANCH_COLOURS["down"]),
        )
        if np.isfinite(coercive)
    ]
    return branches(
        one["B"].values,
        one["R"].sel(branch="up").values,
        one["R"].sel(branch="down").values,
        fit_up=fitted["up"] if np.isfinite(fitted["up"]).any() else None,
        fit_down=fitted["down"] if np.isfinite(fitted["down"]).any() else None,
        marks=marks,
        title=title or f"{float(one['T']):g} K",
    )


def with_errors(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    error: ArrayLike,
    *,
    colour: str = style.INK,
    marker: str = "o",
    **kwargs: Any,
) -> None:
    """Draw points with error bars in the style of the figures."""
    axes.errorbar(
        np.asarray(x, float),
        np.asarray(y, float),
        np.asarray(error, float),
        fmt=marker,
        ms=2.8,
        mfc="white",
        mec=colour,
        mew=0.7,
        ecolor=colour,
        elinewidth=0.6,
        capsize=1.1,
        **kwargs,
    )

r"""Joint least-squares fit of V(I) traces: thermal RSJ channels in series with an Andreev junction.

The model of one trace (I is the current minus the offset current :math:`I_0`)

.. math::

   V(I) = V_0 + R_s I + \sum_k R_k I_{c,k}\, v(I/I_{c,k}, \gamma_k)
          + V_\mathrm{AR}(I;\ \Delta, Z, P, R_\mathrm{AR}, T), \qquad
   \gamma_k = \hbar I_{c,k} / (2 e k_B T_n)

has few parameters and smooth, tabulated ingredients, so all traces of a dataset are fitted at once
by a batched Levenberg-Marquardt iteration with analytic Jacobian. :math:`V_0, R_s, R_k` enter
linearly and are eliminated at every step (variable projection); what is left to iterate are
:math:`I_0`, :math:`\ln I_{c,k}`, :math:`\ln T_n` and the Andreev parameters. Fitting V, not a
smoothed dV/dI, leaves the critical current unbiased.

The temperature wanders while a sweep lasts. Where the thermometer saw it, the deviation
:math:`\delta T(I)` from the set-point is part of the model,
:math:`I_{c,k} \to I_{c,k}\,e^{\beta_k \delta T}` and :math:`R_s \to R_s + R_s' \delta T`, so
the fitted critical current belongs to the set-point; :math:`\beta_k = d\ln I_{c,k}/dT` is a
parameter too.

References
----------
Yu. M. Ivanchenko, L. A. Zil'berman, Sov. Phys. JETP 28, 1272 (1969): v(i, gamma).
G. E. Blonder, M. Tinkham, T. M. Klapwijk, PRB 25, 4515 (1982); I. I. Mazin et al., J. Appl. Phys.
89, 7576 (2001): V_AR.
G. Golub, V. Pereyra, Inverse Problems 19, R1 (2003); L. Kaufman, BIT 15, 49 (1975): projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nbnmbt.physics import andreev, bcs, rsj
from nbnmbt.physics.constants import K_B_meV

__all__ = [
    "Fit",
    "Layout",
    "Prior",
    "Traces",
    "fit",
    "fit_shared",
    "model",
    "peak_widths",
    "polarity_differences",
]

Array = NDArray[np.float64]

# Rows per block: the Jacobian of a block (rows x parameters x points) should stay in cache.
_BLOCK_BYTES = 3_000_000
_GAP_MAX = 5.0
_Z_MAX = 2.0
_TINY = 1e-9
_LOG_R_AR = (-5.0, 8.0)
# Fields of `Fit` with one entry a trace.
_PER_TRACE = (
    "parameters",
    "covariance",
    "free",
    "chi2",
    "dof",
    "objective",
    "converged",
    "V",
    "dVdI",
    "dVdT",
)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """V(I) traces to be fitted together.

    Attributes
    ----------
    I, V : ndarray, shape (n, m)
        Currents in mA and voltages in mV; NaN where missing.
    sigma : ndarray, shape (n, m)
        Standard deviation of V, mV; points with sigma that is not positive and finite are left out.
    T : ndarray, shape (n,)
        Temperature, K (thermal smearing of the Andreev junction).
    dT : ndarray, shape (n, m)
        Temperature minus set-point at each point, K; zero where unknown.
    """

    I: Array
    V: Array
    sigma: Array
    T: Array
    dT: Array

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Traces:
        """Return the traces `rows`."""
        return Traces(
            I=self.I[rows],
            V=self.V[rows],
            sigma=self.sigma[rows],
            T=self.T[rows],
            dT=self.dT[rows],
        )

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which points take part, shape (n, m)."""
        with np.errstate(invalid="ignore"):
            return (
                np.isfinite(self.I)
                & np.isfinite(self.V)
                & np.isfinite(self.sigma)
                & (self.sigma > 0)
            )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which parameter stands in which column.

    The nonlinear ones come first: I0, ln Ic_k, ln Tn (one, or one per channel), beta_k, gap,
    ln R_AR, Z, P; then the linear V0, R_s, dR_s/dT, R_k.

    Attributes
    ----------
    channels : int
        Number of channels K.
    shared_noise : bool
        One noise temperature for all channels of a trace, or one per channel.
    """

    channels: int
    shared_noise: bool = True

    @property
    def noises(self) -> int:
        """Number of noise-temperature parameters."""
        return min(1, self.channels) if self.shared_noise else self.channels

    @property
    def nonlinear(self) -> int:
        """Number of nonlinear parameters."""
        return 1 + 2 * self.channels + self.noises + 4

    @property
    def size(self) -> int:
        """Number of all parameters."""
        return self.nonlinear + 3 + self.channels

    @property
    def ln_Ic(self) -> slice:
        """Columns of ln Ic_k (Ic in mA)."""
        return slice(1, 1 + self.channels)

    @property
    def ln_Tn(self) -> slice:
        """Columns of ln Tn (K)."""
        return slice(1 + self.channels, 1 + self.channels + self.noises)

    @property
    def beta(self) -> slice:
        """Columns of beta_k = dln Ic_k/dT (1/K)."""
        start = 1 + self.channels + self.noises
        return slice(start, start + self.channels)

    @property
    def andreev(self) -> slice:
        """Columns of gap (meV), ln R_AR (ohm), Z, P."""
        return slice(self.nonlinear - 4, self.nonlinear)

    @property
    def gap(self) -> int:
        """Column of the gap (meV)."""
        return self.nonlinear - 4

    @property
    def contact(self) -> slice:
        """Columns of ln R_AR, Z, P: what belongs to the contact, not to the superconductor."""
        return slice(self.nonlinear - 3, self.nonlinear)

    @property
    def V0(self) -> int:
        """Column of the offset voltage (mV)."""
        return self.nonlinear

    @property
    def R_s(self) -> int:
        """Column of the series resistance (ohm)."""
        return self.nonlinear + 1

    @property
    def dR_s(self) -> int:
        """Column of dR_s/dT (ohm/K)."""
        return self.nonlinear + 2

    @property
    def R(self) -> slice:
        """Columns of the channel resistances R_k (ohm)."""
        return slice(self.nonlinear + 3, self.size)

    def noise_of(self, k: int) -> int:
        """Column of ln Tn that belongs to channel `k`."""
        return 1 + self.channels + (0 if self.shared_noise else k)

    def free(
        self,
        active: NDArray[np.bool_],
        has_andreev: NDArray[np.bool_],
        wanders: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Which parameters of which trace are to be fitted.

        Parameters
        ----------
        active : ndarray of bool, shape (n, K)
            Channels present in a trace.
        has_andreev : ndarray of bool, shape (n,)
            Whether a trace has an Andreev junction.
        wanders : ndarray of bool, shape (n,), optional
            Whether the temperature deviation of a trace is known; default: of none.

        Returns
        -------
        ndarray of bool, shape (n, size)
            A channel that is not present is ohmic and part of R_s.
        """
        n = has_andreev.size
        free = np.ones((n, self.size), dtype=bool)
        free[:, self.ln_Ic] = active
        free[:, self.R] = active
        moving = np.zeros(n, dtype=bool) if wanders is None else wanders
        free[:, self.beta] = active & moving[:, None]
        free[:, self.dR_s] = moving
        free[:, self.andreev] = has_andreev[:, None]
        if self.channels:
            free[:, self.ln_Tn] = active.any(axis=1)[:, None] if self.shared_noise else active
        # Without any nonlinearity the offset current is the offset voltage over the resistance.
        free[:, 0] = active.any(axis=1) | has_andreev
        return free


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Gaussian knowledge from outside the trace (another trace of the same dataset).

    Attributes
    ----------
    mean : ndarray, shape (n, size)
        Expected parameters.
    precision : ndarray, shape (n, size, size)
        Inverse covariance; zero rows where nothing is known. Linear and nonlinear parameters
        must not be mixed.
    """

    mean: Array
    precision: Array

    @classmethod
    def none(cls, n: int, layout: Layout) -> Prior:
        """Return a prior that knows nothing."""
        return cls(
            mean=np.zeros((n, layout.size)), precision=np.zeros((n, layout.size, layout.size))
        )

    def take(self, rows: NDArray[np.intp]) -> Prior:
        """Return the prior of the traces `rows`."""
        return Prior(mean=self.mean[rows], precision=self.precision[rows])


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Result of a batched fit.

    Attributes
    ----------
    layout : Layout
        Meaning of the columns.
    parameters : ndarray, shape (n, size)
        Best parameters.
    covariance : ndarray, shape (n, size, size)
        Inverse of the normal matrix for the given sigma (not scaled by chi2); zero where fixed.
    free : ndarray of bool, shape (n, size)
        Which parameters were fitted.
    chi2 : ndarray, shape (n,)
        Sum of squared normalised residuals of the data (prior not included).
    dof : ndarray of int, shape (n,)
        Points minus fitted parameters.
    objective : ndarray, shape (n,)
        chi2 plus the prior's share: what was minimised.
    converged : ndarray of bool, shape (n,)
        Whether the last step promised less than the tolerance.
    iterations : int
        Model evaluations needed for the slowest trace.
    V, dVdI, dVdT : ndarray, shape (n, m)
        Model voltage (mV), differential resistance (ohm) and temperature derivative through the
        critical currents (mV/K; with beta_k held within what is expected) at the points.
    """

    layout: Layout
    parameters: Array
    covariance: Array
    free: NDArray[np.bool_]
    chi2: Array
    dof: NDArray[np.intp]
    objective: Array
    converged: NDArray[np.bool_]
    iterations: int
    V: Array = field(repr=False)
    dVdI: Array = field(repr=False)
    dVdT: Array = field(repr=False)

    @property
    def chi2_nu(self) -> Array:
        """Reduced chi-square, NaN without degrees of freedom."""
        return np.where(self.dof > 0, self.chi2 / np.maximum(self.dof, 1), np.nan)

    @property
    def errors(self) -> Array:
        """Standard errors for the given sigma, shape (n, size)."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=1, axis2=2), 0.0))

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> Fit:
        """Return the fits of the traces `rows`."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _PER_TRACE})

    def put(self, rows: NDArray[np.intp], other: Fit) -> Fit:
        """Return a copy in which the traces `rows` are those of `other`."""
        new = {}
        for name in _PER_TRACE:
            array = getattr(self, name).copy()
            array[rows] = getattr(other, name)
            new[name] = array
        return replace(self, iterations=max(self.iterations, other.iterations), **new)


def fit(
    traces: Traces,
    start: Array,
    layout: Layout,
    free: NDArray[np.bool_],
    *,
    prior: Prior | None = None,
    max_iterations: int = 40,
    tolerance: float = 1e-4,
) -> Fit:
    """Fit all traces at once, each with its own parameters.

    Parameters
    ----------
    traces : Traces
        n traces of m points.
    start : ndarray, shape (n, size)
        Start values; only the nonlinear ones matter. Channels ascending in Ic.
    layout : Layout
        Meaning of the columns.
    free : ndarray of bool, shape (n, size)
        Parameters to fit (`Layout.free`); the others stay as they are, channels whose R_k is not
        free are absent.
    prior : Prior, optional
        Gaussian knowledge.
    max_iterations : int
        Limit for a trace.
    tolerance : float
        A trace has converged when the next step promises to lower its objective by less, in
        units of its reduced chi-square: a bad fit deserves no more digits than its errors have.

    Returns
    -------
    Fit
    """
    n = start.shape[0]
    prior = Prior.none(n, layout) if prior is None else prior
    problem = _Problem(traces, layout, free, prior)
    x = problem.project(np.array(start, dtype=float))
    state = problem.evaluate(np.arange(n), x)
    damping = np.full(n, 1e-3)
    converged = ~problem.has_points
    pending = np.flatnonzero(problem.has_points)
    iterations = 0
    while pending.size and iterations < max_iterations:
        iterations += 1
        step, promise = problem.step(pending, x[pending], state, damping[pending])
        excess = state.chi2[pending] / np.maximum(problem.points[pending], 1)
        done = promise < tolerance * np.maximum(excess, 1.0)
        converged[pending[done]] = True
        pending, step = pending[~done], step[~done]
        if not pending.size:
            break
        trial = problem.advance(pending, x[pending], step)
        new = problem.evaluate(pending, trial)
        old = state.objective[pending]
        better = new.objective <= old
        accepted = pending[better]
        x[accepted] = np.where(
            np.arange(layout.size) < layout.nonlinear, trial[better], new.parameters[better]
        )
        state.put(accepted, new, better)
        damping[pending] = np.where(
            better,
            np.maximum(damping[pending] * 0.1, 1e-9),
            np.maximum(damping[pending] * 8.0, 1e-4),
        )
        # Rejected again and again: the minimum is as deep as rounding lets us see.
        stuck = damping[pending] > 1e6
        converged[pending[stuck]] = True
        pending = pending[~stuck]
    return problem.result(x, state, converged, iterations)


def fit_shared(
    traces: Traces,
    start: Array,
    layout: Layout,
    free: NDArray[np.bool_],
    shared: Sequence[int],
    *,
    prior: Prior | None = None,
    max_iterations: int = 40,
    tolerance: float = 1e-4,
) -> tuple[Fit, Array]:
    """Fit all traces at once with some nonlinear parameters common to all of them.

    The normal matrix has the shape of an arrow (own blocks and one common border); each
    iteration eliminates the own parameters first (Schur complement).

    Parameters
    ----------
    traces, start, layout, free, prior
        As for `fit`. Shared parameters start from the mean over traces and must be free in all.
    shared : sequence of int
        Columns (nonlinear) that are common.
    max_iterations, tolerance
        As for `fit`, for the sum over traces.

    Returns
    -------
    fit : Fit
        Own covariances are those at fixed shared parameters.
    covariance : ndarray, shape (len(shared), len(shared))
        Covariance of the shared parameters.
    """
    n = start.shape[0]
    shared = np.asarray(shared, dtype=int)
    prior = Prior.none(n, layout) if prior is None else prior
    problem = _Problem(traces, layout, free, prior)
    rows = np.arange(n)
    x = np.array(start, dtype=float)
    x[:, shared] = x[:, shared].mean(axis=0)
    x = problem.project(x)
    state = problem.evaluate(rows, x)
    own = np.setdiff1d(np.arange(layout.size), shared)
    damping, converged, iterations = 1e-3, False, 0
    while iterations < max_iterations and not converged:
        iterations += 1
        # A parameter that its own trace does not fit must not touch the border either.
        normal, gradient = problem.reduced(rows, x, state, keep=shared)
        border = normal[np.ix_(rows, own, shared)]
        block = normal[np.ix_(rows, own, own)]
        block = block + damping * _diagonal(block)
        inverse = _inverse(block)
        pressed = np.swapaxes(border, 1, 2) @ inverse
        core = normal[np.ix_(rows, shared, shared)].sum(axis=0)
        edge = gradient[:, shared].sum(axis=0)
        wall = _pressed(x[0, shared], edge, problem.low[shared], problem.high[shared])
        schur = core + damping * np.diag(np.diag(core)) - (pressed @ border).sum(axis=0)
        right = edge - (pressed @ gradient[:, own, None])[..., 0].sum(axis=0)
        schur[wall], schur[:, wall] = 0.0, 0.0
        schur[wall, wall], right[wall] = 1.0, 0.0
        common = _solve(schur[None], right[None])[0]
        mine = (inverse @ (gradient[:, own] - border @ common)[..., None])[..., 0]
        step = np.zeros_like(x)
        step[:, own], step[:, shared] = mine, common
        promise = float(np.sum(gradient[:, own] * mine) + edge @ common)
        if promise < tolerance:
            converged = True
            break
        trial = problem.advance(rows, x, step, together=shared)
        new = problem.evaluate(rows, trial)
        if new.objective.sum() <= state.objective.sum():
            x = np.where(np.arange(layout.size) < layout.nonlinear, trial, new.parameters)
            state = new
            damping = max(damping * 0.1, 1e-9)
        else:
            damping = max(damping * 8.0, 1e-4)
            converged = damping > 1e6
    normal, _ = problem.reduced(rows, x, state, keep=shared)
    border = normal[np.ix_(rows, own, shared)]
    inverse = _inverse(normal[np.ix_(rows, own, own)])
    core = normal[np.ix_(rows, shared, shared)].sum(axis=0)
    schur = core - (np.swapaxes(border, 1, 2) @ inverse @ border).sum(axis=0)
    result = problem.result(x, state, np.full(n, converged), iterations)
    return result, _inverse(schur[None])[0]


def model(I: Array, T: Array, parameters: Array, layout: Layout, free: NDArray[np.bool_]) -> Array:
    """Voltage of the model at the set-point temperature.

    Parameters
    ----------
    I : ndarray, shape (n, m)
        Currents, mA.
    T : ndarray, shape (n,)
        Temperatures, K.
    parameters, free : ndarray, shape (n, size)
        Parameters and which of them exist (`Layout.free`).
    layout : Layout
        Meaning of the columns.

    Returns
    -------
    ndarray, shape (n, m)
        Voltage, mV.
    """
    zero = np.zeros_like(I)
    traces = Traces(I=I, V=zero, sigma=np.ones_like(I), T=T, dT=zero)
    problem = _Problem(traces, layout, free, Prior.none(I.shape[0], layout))
    rows = np.arange(I.shape[0])
    voltage = np.empty_like(I)
    for block in problem.blocks(rows):
        basis, fixed, _ = problem.basis(block, parameters[block])
        linear = parameters[block, layout.nonlinear :]
        voltage[block] = fixed + (linear[:, None, :] @ basis)[:, 0, :]
    return voltage


def polarity_differences(
    traces: Traces, result: Fit, prior: Prior | None = None
) -> tuple[Array, Array]:
    """Difference of the critical currents at positive and negative current, as far as V(I) tells.

    One Gauss-Newton step from the fit, with Ic_k (1 + a_k sign(I)/2) in place of Ic_k and all other
    parameters free, among them the offset current: a difference common to everything in the
    trace is an offset of the current axis, not of the channels.

    Parameters
    ----------
    traces : Traces
        The traces that were fitted.
    result : Fit
        Their fit.
    prior : Prior, optional
        As in the fit.

    Returns
    -------
    difference, error : ndarray, shape (n, K)
        abs(Ic+) - abs(Ic-) in mA and its standard error; NaN for channels that are not there, or
        whose difference cannot be told from an offset current.
    """
    layout = result.layout
    n, K = result.parameters.shape[0], layout.channels
    difference, error = np.full((n, K), np.nan), np.full((n, K), np.nan)
    prior = Prior.none(n, layout) if prior is None else prior
    problem = _Problem(traces, layout, result.free, prior)
    rows = np.flatnonzero(problem.has_points & problem.has_channel.any(axis=1))
    size = layout.size
    for block in problem.blocks(rows):
        x = result.parameters[block]
        jacobian, residual = problem.linearised(block, x)
        side = 0.5 * np.sign(problem.I[block] - x[:, :1])
        extra = jacobian[:, layout.ln_Ic] * side[:, None, :]
        columns = np.concatenate([jacobian, extra], axis=1)
        normal = columns @ np.swapaxes(columns, 1, 2)
        normal[:, :size, :size] += prior.precision[block]
        right = (columns @ residual[..., None])[..., 0]
        pull = (prior.precision[block] @ (x - prior.mean[block])[..., None])[..., 0]
        right[:, :size] -= pull
        present = problem.has_channel[block]
        fixed = ~result.free[block] | (x <= problem.low) | (x >= problem.high)
        _freeze(normal, right, np.concatenate([fixed, ~present], axis=1))
        covariance = _inverse(normal)
        step = (covariance @ right[..., None])[..., 0][:, size:]
        sigma = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2)[:, size:], 0.0))
        Ic = np.exp(x[:, layout.ln_Ic])
        told = present & (sigma < 0.05) & (sigma > 0)
        difference[block] = np.where(told, step * Ic, np.nan)
        error[block] = np.where(told, sigma * Ic, np.nan)
    return difference, error


def peak_widths(result: Fit) -> tuple[Array, Array]:
    """Full width at half maximum of each channel's peak in dV/dI, above its normal resistance.

    Parameters
    ----------
    result : Fit
        A fit.

    Returns
    -------
    width, width_err : ndarray, shape (n, K)
        FWHM = Ic f(gamma) in mA and its standard error from the covariance of Ic and Tn.
    """
    layout = result.layout
    n, K = result.parameters.shape[0], layout.channels
    width, error = np.full((n, K), np.nan), np.full((n, K), np.nan)
    for k in range(K):
        columns = [1 + k, layout.noise_of(k)]
        Ic, Tn = np.exp(result.parameters[:, columns]).T
        step = 1e-3
        with np.errstate(invalid="ignore"):
            gamma = rsj.gamma(Ic, Tn)
            relative = rsj.peak(gamma)[2]
            slope = np.log(rsj.peak(gamma * np.exp(step))[2] / rsj.peak(gamma * np.exp(-step))[2])
        slope = slope / (2 * step)
        width[:, k] = Ic * relative
        gradient = np.stack([1.0 + slope, -slope], axis=-1)
        block = result.covariance[:, columns][:, :, columns]
        variance = np.einsum("ni,nij,nj->n", gradient, block, gradient)
        error[:, k] = width[:, k] * np.sqrt(np.maximum(variance, 0.0))
    return width, error


@dataclass
class _State:
    """What one evaluation leaves: objective, data chi2, normal matrix, gradient, parameters."""

    objective: Array
    chi2: Array
    normal: Array
    gradient: Array
    parameters: Array

    def put(self, rows: NDArray[np.intp], new: _State, chosen: NDArray[np.bool_]) -> None:
        for name in ("objective", "chi2", "normal", "gradient", "parameters"):
            getattr(self, name)[rows] = getattr(new, name)[chosen]


class _Problem:
    """Weighted residuals, Jacobian and normal equations of a batch."""

    def __init__(
        self, traces: Traces, layout: Layout, free: NDArray[np.bool_], prior: Prior
    ) -> None:
        used = traces.used
        self.layout, self.free, self.prior = layout, free, prior
        self.I = np.where(used, traces.I, 0.0)
        self.V = np.where(used, traces.V, 0.0)
        self.w = np.where(used, 1.0 / np.where(used, traces.sigma, 1.0), 0.0)
        self.T = traces.T
        self.dT = np.where(used & np.isfinite(traces.dT), traces.dT, 0.0)
        self.wanders = bool(np.any(self.dT))
        self.points = used.sum(axis=1)
        self.has_points = self.points > 0
        self.has_channel = free[:, layout.R] | free[:, layout.ln_Ic]
        self.has_andreev = free[:, layout.R_s] & (
            free[:, layout.andreev].any(axis=1) if layout.size else False
        )
        self.low = np.full(layout.size, -np.inf)
        self.high = np.full(layout.size, np.inf)
        self.low[layout.andreev] = 0.0, _LOG_R_AR[0], 0.0, 0.0
        self.high[layout.andreev] = _GAP_MAX, _LOG_R_AR[1], _Z_MAX, 1.0

    def blocks(self, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Split rows so that the work arrays of a block stay in cache."""
        per_row = max(self.I.shape[1], 1) * self.layout.size * 8
        length = max(1, _BLOCK_BYTES // per_row)
        return [rows[i : i + length] for i in range(0, rows.size, length)]

    def project(self, x: Array) -> Array:
        """Move parameters into their bounds."""
        return np.clip(x, self.low, self.high)

    def basis(self, rows: NDArray[np.intp], x: Array) -> tuple[Array, Array, dict]:
        """Columns of the linear parameters, the rest of the voltage, and table derivatives."""
        layout = self.layout
        I = self.I[rows] - x[:, :1]
        n, m = I.shape
        basis = np.empty((n, 3 + layout.channels, m))
        dT = self.dT[rows]
        basis[:, 0] = 1.0
        basis[:, 1] = I
        np.multiply(I, dT, out=basis[:, 2])
        parts: dict = {"I": I, "dT": dT, "channels": []}
        for k in range(layout.channels):
            present = np.flatnonzero(self.has_channel[rows, k])
            if not present.size:
                basis[:, 3 + k] = 0.0
                parts["channels"].append(None)
                continue
            everywhere = present.size == n
            Ic = np.exp(x[present, 1 + k])[:, None]
            gamma = rsj.gamma(Ic, np.exp(x[present, layout.noise_of(k)])[:, None])
            i = (I if everywhere else I[present]) / Ic
            change = None
            if self.wanders:
                # One row keeps one gamma, as the table likes it; its small change is added to
                # first order, while the current, which shifts the peak, is scaled exactly.
                change = x[present, layout.beta.start + k][:, None] * dT[present]
                growth = np.exp(change)
                Ic, i = Ic * growth, i / growth
            v, dv_di, dv_dg = rsj.tabulated(i, gamma)
            if change is not None:
                v = v + change * dv_dg
            if everywhere:
                np.multiply(Ic, v, out=basis[:, 3 + k])
            else:
                basis[:, 3 + k] = 0.0
                basis[present, 3 + k] = Ic * v
            parts["channels"].append((present, Ic, i, v, dv_di, dv_dg))
        fixed = np.zeros((n, m))
        present = np.flatnonzero(self.has_andreev[rows])
        if present.size:
            gap, log_R, Z, P = (c[:, None] for c in x[present, layout.andreev].T)
            T = self.T[rows][present][:, None]
            voltage, slopes = _andreev(I[present], T, gap, Z, P, log_R)
            if self.wanders:
                voltage = voltage + dT[present] * _andreev_by_T(T, gap, voltage, slopes)
            fixed[present] = voltage
            parts["andreev"] = (present, slopes)
        return basis, fixed, parts

    def evaluate(self, rows: NDArray[np.intp], x: Array) -> _State:
        """Solve the linear parameters, then form objective, gradient and normal matrix."""
        size = self.layout.size
        state = _State(
            objective=np.empty(rows.size),
            chi2=np.empty(rows.size),
            normal=np.empty((rows.size, size, size)),
            gradient=np.empty((rows.size, size)),
            parameters=np.array(x),
        )
        start = 0
        for block in self.blocks(rows):
            here = slice(start, start + block.size)
            start += block.size
            self._evaluate_block(block, x[here], state, here)
        return state

    def _evaluate_block(self, rows: NDArray[np.intp], x: Array, state: _State, here: slice) -> None:
        layout, q = self.layout, self.layout.nonlinear
        w = self.w[rows]
        basis, fixed, parts = self.basis(rows, x)
        jacobian = np.empty((rows.size, layout.size, w.shape[1]))
        np.multiply(basis, w[:, None, :], out=jacobian[:, q:])
        weighted = jacobian[:, q:]
        y = w * (self.V[rows] - fixed)
        mean, precision = self.prior.mean[rows], self.prior.precision[rows]
        normal = weighted @ np.swapaxes(weighted, 1, 2) + precision[:, q:, q:]
        right = (weighted @ y[..., None])[..., 0]
        right += (precision[:, q:, q:] @ mean[:, q:, None])[..., 0]
        fixed_linear = ~self.free[rows, q:]
        _freeze(normal, right, fixed_linear)
        linear = _solve(normal, right)
        residual = y - (linear[:, None, :] @ weighted)[:, 0, :]
        parameters = np.concatenate([x[:, :q], linear], axis=1)
        self._nonlinear_columns(jacobian, w, parts, parameters)
        deviation = parameters - mean
        pull = (precision @ deviation[..., None])[..., 0]
        state.chi2[here] = np.einsum("nm,nm->n", residual, residual)
        state.objective[here] = state.chi2[here] + np.einsum("np,np->n", deviation, pull)
        state.normal[here] = jacobian @ np.swapaxes(jacobian, 1, 2) + precision
        state.gradient[here] = (jacobian @ residual[..., None])[..., 0] - pull
        state.parameters[here] = parameters

    def linearised(self, rows: NDArray[np.intp], parameters: Array) -> tuple[Array, Array]:
        """Weighted Jacobian (rows, parameters, points) and weighted residual."""
        q = self.layout.nonlinear
        w = self.w[rows]
        basis, fixed, parts = self.basis(rows, parameters)
        jacobian = np.empty((rows.size, self.layout.size, w.shape[1]))
        np.multiply(basis, w[:, None, :], out=jacobian[:, q:])
        residual = w * (self.V[rows] - fixed)
        residual -= (parameters[:, None, q:] @ jacobian[:, q:])[:, 0, :]
        self._nonlinear_columns(jacobian, w, parts, parameters)
        return jacobian, residual

    def _nonlinear_columns(self, jacobian: Array, w: Array, parts: dict, parameters: Array) -> None:
        layout = self.layout
        jacobian[:, : layout.nonlinear] = 0.0
        slope = np.empty_like(w)
        slope[:] = parameters[:, layout.R_s, None]
        if self.wanders:
            slope += parameters[:, layout.dR_s, None] * parts["dT"]
        for k, channel in enumerate(parts["channels"]):
            if channel is None:
                continue
            present, Ic, i, v, dv_di, dv_dg = channel
            R = parameters[present, layout.R.start + k][:, None]
            scale = R * Ic * w[present]
            slope[present] += R * dv_di
            noise = scale * dv_dg
            by_log = scale * (v - i * dv_di) + noise
            jacobian[present, 1 + k] = by_log
            jacobian[present, layout.noise_of(k)] -= noise
            if self.wanders:
                jacobian[present, layout.beta.start + k] = by_log * parts["dT"][present]
        if "andreev" in parts:
            present, slopes = parts["andreev"]
            slope[present] += slopes[0]
            for column, derivative in enumerate(slopes[1:]):
                jacobian[present, layout.andreev.start + column] = derivative * w[present]
        jacobian[:, 0] = -slope * w

    def reduced(
        self,
        rows: NDArray[np.intp],
        x: Array,
        state: _State,
        keep: NDArray[np.intp] | None = None,
    ) -> tuple[Array, Array]:
        """Normal matrix and gradient without fixed parameters and those pressed on a bound."""
        normal, gradient = state.normal[rows].copy(), state.gradient[rows].copy()
        fixed = ~self.free[rows] | _pressed(x, gradient, self.low, self.high)
        if keep is not None:
            fixed[:, keep] = False
        _freeze(normal, gradient, fixed)
        return normal, gradient

    def step(
        self, rows: NDArray[np.intp], x: Array, state: _State, damping: Array
    ) -> tuple[Array, Array]:
        """Damped Gauss-Newton step and the decrease of the objective that it promises."""
        normal, gradient = self.reduced(rows, x, state)
        step = _solve(normal + damping[:, None, None] * _diagonal(normal), gradient)
        return step, np.einsum("np,np->n", gradient, step)

    def advance(
        self,
        rows: NDArray[np.intp],
        x: Array,
        step: Array,
        together: NDArray[np.intp] | None = None,
    ) -> Array:
        """Take a step, shortened where it would leave the region in which it is trusted."""
        layout = self.layout
        factor = np.ones(rows.size)
        limits = np.full(layout.size, np.inf)
        limits[0] = 0.05
        limits[layout.ln_Ic] = 0.25
        limits[layout.ln_Tn] = 0.7
        limits[layout.beta] = 2.0
        limits[layout.andreev] = 0.4, 0.4, 0.3, 0.3
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.fmin(factor, np.nanmin(limits / np.abs(step), axis=1))
        present = self.has_channel[rows]
        for _ in range(6):
            crossing = _crossing(x + factor[:, None] * step, present, layout)
            factor = np.where(crossing, 0.5 * factor, factor)
        if together is not None:
            factor[:] = factor.min()
        trial = x + factor[:, None] * step
        # Halving alone cannot part a pair that is pressed together. To the model two channels that
        # have changed places are the same two, so the lower one is called k again.
        for row in np.flatnonzero(_crossing(trial, present, layout)):
            here = np.flatnonzero(present[row])
            order = here[np.argsort(trial[row, layout.ln_Ic][here], kind="stable")]
            blocks = [layout.ln_Ic, layout.beta] + [layout.ln_Tn] * (not layout.shared_noise)
            for block in blocks:
                trial[row, block.start + here] = trial[row, block.start + order]
        return self.project(trial)

    def result(self, x: Array, state: _State, converged: NDArray[np.bool_], iterations: int) -> Fit:
        """Collect parameters, covariance and model curves."""
        layout, rows = self.layout, np.arange(x.shape[0])
        parameters = state.parameters
        normal, _ = self.reduced(rows, parameters, state)
        covariance = _inverse(normal)
        fixed = ~self.free | _pressed(parameters, state.gradient, self.low, self.high)
        covariance[np.broadcast_to(fixed[:, :, None], covariance.shape)] = 0.0
        covariance[np.broadcast_to(fixed[:, None, :], covariance.shape)] = 0.0
        covariance[~self.has_points] = np.nan
        V, dVdI, dVdT = np.empty_like(self.I), np.empty_like(self.I), np.empty_like(self.I)
        one = np.ones_like
        betas = np.arange(layout.beta.start, layout.beta.stop)
        with np.errstate(divide="ignore"):
            reach = 2.0 / np.sqrt(self.prior.precision[:, betas, betas])
        mean = self.prior.mean[:, layout.beta]
        expected = np.clip(parameters[:, layout.beta], mean - reach, mean + reach)
        for block in self.blocks(rows):
            basis, rest, parts = self.basis(block, parameters[block])
            linear = parameters[block, layout.nonlinear :]
            V[block] = rest + (linear[:, None, :] @ basis)[:, 0, :]
            jacobian = np.empty((block.size, layout.size, self.I.shape[1]))
            self._nonlinear_columns(jacobian, one(self.I[block]), parts, parameters[block])
            dVdI[block] = -jacobian[:, 0]
            by_log = jacobian[:, layout.ln_Ic]
            # Fitted slopes, within what is expected: that of a bad fit may be anything.
            beta = np.where(self.free[block, layout.beta], expected[block], 0.0)
            dVdT[block] = (beta[:, None, :] @ by_log)[:, 0, :]
        missing = self.w == 0
        V[missing], dVdI[missing], dVdT[missing] = np.nan, np.nan, np.nan
        return Fit(
            layout=layout,
            parameters=parameters,
            covariance=covariance,
            free=self.free,
            chi2=np.where(self.has_points, state.chi2, np.nan),
            dof=self.points - self.free.sum(axis=1),
            objective=np.where(self.has_points, state.objective, np.nan),
            converged=converged,
            iterations=iterations,
            V=V,
            dVdI=dVdI,
            dVdT=dVdT,
        )


def _andreev(
    I: Array, T: Array, gap: Array, Z: Array, P: Array, log_R: Array
) -> tuple[Array, tuple[Array, ...]]:
    """Andreev voltage and its derivatives by I, gap, ln R_AR, Z, P."""
    R = np.exp(log_R)
    # V depends on I and R through I R alone, so one derivative gives the other, except at I = 0.
    I = np.where(np.abs(I) < _TINY, _TINY, I)
    voltage, (by_gap, by_Z, by_P, by_R) = andreev.voltage_and_jacobian(I, T, gap, Z, P, R)
    return voltage, (by_R * R / I, by_gap, by_R * R, by_Z, by_P)


def _andreev_by_T(T: Array, gap: Array, voltage: Array, slopes: tuple[Array, ...]) -> Array:
    """DV/dT of the Andreev contact at constant current: thermal smearing and BCS gap.

    V is homogeneous of degree one in (I R, kT, gap), which gives the derivative along T from the
    others; the gap follows the BCS curve that passes through it at T.
    """
    smearing = (voltage - slopes[2] - gap * slopes[1]) / T
    reduced = bcs.reduced_temperature(gap / (2.0 * np.pi * K_B_meV * T))
    Tc = T / np.maximum(reduced, 1e-3)
    step = 1e-3 * T
    by_T = (bcs.gap(T + step, Tc) - bcs.gap(T - step, Tc)) / (2.0 * step)
    # The square root at Tc has no slope worth following, least of all for a gap of almost zero.
    by_T = np.maximum(by_T, -gap / (0.02 * T))
    return smearing + slopes[1] * by_T


def _crossing(x: Array, present: NDArray[np.bool_], layout: Layout) -> NDArray[np.bool_]:
    """Whether channels would change places: neighbours present must keep Ic_k < Ic_k+1."""
    crossing = np.zeros(x.shape[0], dtype=bool)
    last = np.full(x.shape[0], -np.inf)
    for k in range(layout.channels):
        here = present[:, k]
        crossing |= here & (x[:, 1 + k] <= last + 1e-3)
        last = np.where(here, x[:, 1 + k], last)
    return crossing


def _pressed(x: Array, gradient: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Which parameters sit on a bound that the gradient presses them against."""
    return ((x <= low) & (gradient <= 0)) | ((x >= high) & (gradient >= 0))


def _freeze(normal: Array, right: Array, fixed: NDArray[np.bool_]) -> None:
    """Take fixed parameters out of normal equations, in place."""
    normal[np.broadcast_to(fixed[:, :, None], normal.shape)] = 0.0
    normal[np.broadcast_to(fixed[:, None, :], normal.shape)] = 0.0
    n = np.arange(normal.shape[1])
    diagonal = normal[:, n, n]
    diagonal[fixed] = 1.0
    normal[:, n, n] = diagonal
    right[fixed] = 0.0


def _diagonal(normal: Array) -> Array:
    out = np.zeros_like(normal)
    n = np.arange(normal.shape[1])
    out[:, n, n] = normal[:, n, n]
    return out


def _scaled(normal: Array) -> tuple[Array, Array]:
    """Unit diagonal: parameters of different size become comparable; a hair keeps it regular."""
    n = np.arange(normal.shape[-1])
    diagonal = normal[:, n, n]
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = normal * scale[:, :, None] * scale[:, None, :]
    scaled[:, n, n] = np.where(diagonal > 0, 1.0, 1.0) + 1e-13
    return scaled, scale


def _solve(normal: Array, right: Array) -> Array:
    scaled, scale = _scaled(normal)
    try:
        solution = np.linalg.solve(scaled, (right * scale)[..., None])[..., 0]
    except np.linalg.LinAlgError:
        solution = (np.linalg.pinv(scaled, hermitian=True) @ (right * scale)[..., None])[..., 0]
    return solution * scale


def _inverse(normal: Array) -> Array:
    scaled, scale = _scaled(normal)
    try:
        inverse = np.linalg.inv(scaled)
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(scaled, hermitian=True)
    return inverse * scale[:, :, None] * scale[:, None, :]

"""V(I) fits: the batch beside lmfit fitting the same traces one by one with the same model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis import vi_fit

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from vi_traces import TRUTH, layout_and_start, traces

BATCH = 100


def test_batch(benchmark):
    layout, start, free = layout_and_start(BATCH)
    data = traces(BATCH)
    result = benchmark.pedantic(
        vi_fit.fit, args=(data, start, layout, free), rounds=3, warmup_rounds=1
    )
    if benchmark.stats is not None:  # none are kept where tests run on several workers
        benchmark.extra_info["traces_per_second"] = BATCH / benchmark.stats.stats.median
    bias = np.exp(result.parameters[:, layout.ln_Ic]).mean(axis=0) - TRUTH["Ic"]
    benchmark.extra_info["bias_uA"] = [round(1e3 * float(x), 4) for x in bias]


def test_lmfit_one_by_one(benchmark):
    lmfit = pytest.importorskip("lmfit")
    layout, start, free = layout_and_start(1)
    data = traces(1)
    names = [f"p{j}" for j in np.flatnonzero(free[0])]
    columns = np.flatnonzero(free[0])
    # The batch projects the linear parameters; lmfit starts them where a person would.
    first = start[0].copy()
    first[layout.R_s], first[layout.R] = 8.0, 1.0
    guess = lmfit.Parameters()
    for name, column in zip(names, columns, strict=True):
        guess.add(name, value=first[column])

    def residual(parameters):
        values = first.copy()
        values[columns] = [parameters[name].value for name in names]
        V = vi_fit.model(data.I, data.T, values[None], layout, free)
        return ((data.V - V) / data.sigma)[0]

    outcome = benchmark.pedantic(
        lambda: lmfit.minimize(residual, guess, scale_covar=False), rounds=3, warmup_rounds=1
    )
    if benchmark.stats is not None:
        benchmark.extra_info["traces_per_second"] = 1 / benchmark.stats.stats.median
    found = [np.exp(outcome.params[f"p{j}"].value) for j in range(1, 4)]
    benchmark.extra_info["error_uA"] = [
        round(1e3 * float(x), 4) for x in np.array(found) - TRUTH["Ic"]
    ]

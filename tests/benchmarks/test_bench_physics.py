"""Speed of the model functions that fits call most, on the size of one full data set."""

import numpy as np
import pytest

from nbnmbt.physics import andreev, depairing, rsj

TRACES, POINTS = 350, 1201


@pytest.fixture(scope="module")
def traces():
    """Reduced bias and noise parameter of 350 traces of +-3 mA."""
    rng = np.random.default_rng(1)
    Ic = rng.uniform(0.4, 2.1, (TRACES, 1))
    return np.linspace(-3.0, 3.0, POINTS) / Ic, rsj.gamma(Ic, 100.0)


def per_point(benchmark, points):
    """Record nanoseconds a point beside the timing, if there is one."""
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_point"] = benchmark.stats["min"] / points * 1e9


def test_rsj_exact(benchmark, traces):
    i, gamma = traces
    v = benchmark(rsj.voltage, i[:20], gamma[:20])
    per_point(benchmark, v.size)
    assert v.shape == (20, POINTS)


def test_rsj_tabulated(benchmark, traces):
    rsj.tabulated(*(x[:1] for x in traces))
    v, _, _ = benchmark(rsj.tabulated, *traces)
    per_point(benchmark, v.size)
    np.testing.assert_allclose(v[:5], rsj.voltage(traces[0][:5], traces[1][:5]), atol=2e-8)


def test_rsj_table_build(benchmark):
    table = benchmark.pedantic(rsj._table.__wrapped__, rounds=3)
    assert np.all(np.isfinite(table))


def test_andreev_voltage_and_jacobian(benchmark):
    rng = np.random.default_rng(2)
    I = np.linspace(-3.0, 3.0, POINTS)
    T, gap = rng.uniform(2.0, 6.0, (TRACES, 1)), rng.uniform(0.1, 0.95, (TRACES, 1))
    andreev.voltage(0.1, 2.0, 0.9, 0.3, 0.6, 10.0)
    V, jacobian = benchmark(andreev.voltage_and_jacobian, I, T, gap, 0.3, 0.6, 10.0)
    per_point(benchmark, V.size)
    assert np.all(np.isfinite(jacobian))


def test_andreev_table_build(benchmark):
    table = benchmark.pedantic(andreev._table.__wrapped__, rounds=2)
    assert np.all(np.isfinite(table))


def test_critical_current_table(benchmark):
    t = np.linspace(0.0, 1.1, 20000)
    ratio = benchmark(depairing.critical_current_ratio, t, 0.03)
    per_point(benchmark, t.size)
    assert ratio[0] > ratio[-1] == 0.0

"""Rows per second of ingestion, beside `pandas.read_csv` of the same bytes.

``pytest tests/benchmarks/test_bench_readers.py --benchmark-only`` prints the table; the plain run
checks that the reader reaches half the rate of pandas' C engine.
"""

from __future__ import annotations

import io
import time

import numpy as np
import pandas as pd
import pytest

from nbnmbt.readers import iv_text, multivu

ROWS = 200_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """An ``iv-text`` file of `ROWS` rows with the digits a voltmeter gives."""
    rng = np.random.default_rng(0)
    table = np.column_stack(
        [
            0.12 * np.arange(ROWS),
            2 + rng.normal(size=ROWS) * 1e-3,
            rng.normal(size=ROWS) * 1e-4,
            np.zeros(ROWS),
            3e-3 * np.sin(np.linspace(0, 300, ROWS)),
            rng.normal(size=ROWS) * 1e-2,
        ]
    )
    row = "%.2f\t%.4f\t%.5f\t%.2f\t%.7f\t%.9e\n"
    head = "# a log\ntime_s\ttemperature_K\tfield_T\tangle_deg\tcurrent_A\tvoltage_V\n"
    path = tmp_path_factory.mktemp("bench") / "sweep.txt"
    path.write_text(head + (row * ROWS) % tuple(table.ravel().tolist()))
    return path


def by_pandas(path):
    return pd.read_csv(io.BytesIO(path.read_bytes()), sep="\t", comment="#", engine="c")


def test_bench_iv_text(benchmark, log):
    recording = benchmark(iv_text.read, log)
    if benchmark.stats is not None:  # none are kept where tests run on several workers
        benchmark.extra_info["rows_per_s"] = round(ROWS / benchmark.stats["mean"])
    assert len(recording) == ROWS


def test_bench_pandas_on_the_same_bytes(benchmark, log):
    frame = benchmark(by_pandas, log)
    if benchmark.stats is not None:  # none are kept where tests run on several workers
        benchmark.extra_info["rows_per_s"] = round(ROWS / benchmark.stats["mean"])
    assert len(frame) == ROWS


def test_bench_multivu(benchmark, tmp_path):
    names = ["Comment", "Time Stamp (sec)", "Temperature (K)", "Magnetic Field (Oe)"]
    names += [f"Bridge {n} Resistance (Ohms)" for n in (1, 2, 3, 4)] + ["Map ()"] * 12
    row = ",30422650.78,2.0004,-9899.84863,0.46727057,,,,,,,,,,,,,,,\r\n"
    path = tmp_path / "x.dat"
    path.write_text("[Header]\r\n[Data]\r\n" + ",".join(names) + "\r\n" + row * 20_000)
    file = benchmark(multivu.read, path)
    if benchmark.stats is not None:  # none are kept where tests run on several workers
        benchmark.extra_info["rows_per_s"] = round(20_000 / benchmark.stats["mean"])
    assert len(file) == 20_000


def test_half_the_rate_of_pandas(log):
    """Best of some runs each, in turn, so that a busy machine slows both."""
    ours, theirs = [], []
    for _ in range(6):
        start = time.perf_counter()
        recording = iv_text.read(log)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        frame = by_pandas(log)
        theirs.append(time.perf_counter() - start)
    np.testing.assert_array_equal(recording.columns["voltage"], frame["voltage_V"])
    assert min(theirs) / min(ours) > 0.5

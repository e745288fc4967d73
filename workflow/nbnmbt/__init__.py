"""From raw transport files of NbN/MnBi2Te4 to the figures and numbers of the paper."""

import os

# One BLAS thread, unless the user chose a number. The fits here are thousands of small ones, for
# which threads cost more than they give (thirty times the processor time on a busy machine), and
# one thread keeps sums in one order: the same bytes each time. Jobs of a build inherit this. It is
# read when numpy loads, so it has to stand before anything else.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

"""Physical constants, CODATA values as shipped with SciPy.

The public functions of the package take kelvin, tesla, milliampere, millivolt, ohm and
millielectronvolt, so that an energy in meV divided by the electron charge is a voltage in mV.
"""

from scipy import constants as _codata

K_B: float = _codata.k
"""Boltzmann constant, J/K."""

K_B_meV: float = _codata.k / _codata.e * 1e3
"""Boltzmann constant, meV/K."""

HBAR: float = _codata.hbar
"""Reduced Planck constant, J s."""

H: float = _codata.h
"""Planck constant, J s."""

E: float = _codata.e
"""Elementary charge, C."""

MU_0: float = _codata.mu_0
"""Vacuum permeability, T m/A."""

MU_B: float = _codata.physical_constants["Bohr magneton"][0]
"""Bohr magneton, J/T."""

MU_B_meV: float = MU_B / E * 1e3
"""Bohr magneton, meV/T."""

PHI_0: float = _codata.physical_constants["mag. flux quantum"][0]
"""Superconducting flux quantum h/2e, Wb."""

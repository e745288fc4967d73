"""Ideal signals of a virtual device: resistances and voltages without instruments.

The critical currents follow from the magnetisation of MnBi2Te4 through pair breaking and nothing
else: no kink is put in anywhere. Channels, Andreev contact and flake add in series.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from nbnmbt.device.parameters import (
    CHANNELS,
    REFERENCE_TEMPERATURE,
    Channel,
    DeviceParameters,
)
from nbnmbt.physics import (
    andreev,
    bcs,
    depairing,
    hysteresis,
    junction,
    laws,
    magnet,
    resistance,
    rsj,
)
from nbnmbt.physics.bcs import DELTA0_OVER_KTC
from nbnmbt.physics.constants import K_B_meV
from nbnmbt.physics.magnet import Magnet, Orientation

Array = NDArray[np.float64]
Configuration = Literal["interface", "MnBi2Te4", "NbN"]
CONFIGURATIONS: tuple[str, ...] = ("interface", "MnBi2Te4", "NbN")

#: Surface superconductivity: parallel over perpendicular critical field.
SURFACE_SHEATH = 1.69
#: Width over which a planted in-plane step turns on, T.
_STEP_WIDTH = 0.1


class Model:
    """Noise-free response of one device.

    Parameters
    ----------
    device : DeviceParameters
        Its parameters.
    """

    def __init__(self, device: DeviceParameters) -> None:
        self.device = device
        magnetism = device.magnetism
        common = {
            "saturation_field": magnetism.saturation_field,
            "ordering_temperature": magnetism.neel_temperature,
            "ferromagnetic": magnetism.interlayer == "ferromagnetic",
        }
        self.magnet = Magnet.from_fields(spin_flop_field=magnetism.spin_flop_field, **common)
        self.interface_magnet = Magnet.from_fields(
            spin_flop_field=magnetism.interface_spin_flop_field, **common
        )
        self.film_law = {
            "sheet_resistance": device.nbn.sheet_resistance,
            "thickness": device.geometry.NbN,
            "coherence_length": device.nbn.coherence_length,
            "barrier": device.nbn.barrier,
            "field_offset": device.nbn.field_offset,
            "floor": device.nbn.fluctuation_floor,
        }
        self.mean_field_temperature = resistance.mean_field_temperature(
            device.nbn.transition_temperature, **self.film_law
        )

    # --- pair breaking and critical currents ---------------------------------------------------

    def sublattice_magnetisation(self, T: ArrayLike) -> Array:
        """Zero-field m(T) of the layers under the film, 1 at T = 0, by the device's law.

        Exchange pair breaking and hysteresis follow it. The magnetoresistance of the flake stays
        with the mean field, whose free energies decide between its phases.

        Parameters
        ----------
        T : array_like
            K.
        """
        magnetism = self.device.magnetism
        return magnet.order_parameter(
            T,
            magnetism.neel_temperature,
            law=magnetism.order_parameter,
            beta=self.device.mnbi2te4.order_exponent,
        )

    def exchange(self, T: ArrayLike, B: ArrayLike, orientation: Orientation) -> Array:
        """Exchange pair breaking over its value at T = 0, B = 0.

        ``uniaxial``: m(T)^2 r(B) with r the proximity average of m_z^2; ``exchange_avg``:
        m(T)^2 h^2(B)/h^2(0) with h the proximity average of the moments.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        magnetism = self.device.magnetism
        options = {
            "xi": magnetism.proximity_depth,
            "flop_spread": magnetism.spin_flop_spread,
            "layers": magnetism.layers,
            "surface": magnetism.surface,
            # critical currents are mapped at set-points that are reached with growing field
            "hysteresis": magnetism.spin_flop_hysteresis,
        }
        m2 = self.sublattice_magnetisation(T) ** 2
        if magnetism.coupling == "uniaxial":
            return m2 * magnet.surface_average(B, self.interface_magnet, orientation, **options)
        options["quantity"] = "h2"
        mean = magnet.surface_average(B, self.interface_magnet, orientation, **options)
        zero = magnet.surface_average(0.0, self.interface_magnet, orientation, **options)
        return m2 * mean / zero

    @lru_cache(maxsize=8)  # noqa: B019  (a model lives as long as its simulation)
    def bare_critical_temperature(self, k: int) -> float:
        """Bare Tc of channel k, K: with the full exchange pair breaking it becomes Tc."""
        channel = getattr(self.device.channels, CHANNELS[k])
        return float(
            depairing.bare_tc(channel.critical_temperature, channel.exchange_pair_breaking)
        )

    def pair_breaking(
        self,
        k: int,
        T: ArrayLike,
        B: ArrayLike,
        orientation: Orientation,
        theta: ArrayLike = 0.0,
        *,
        collinear: bool = False,
    ) -> Array:
        """Total pair breaking of channel k over Delta00: exchange and orbital parts add.

        Parameters
        ----------
        k : int
            Channel 0-3.
        T, B, theta : array_like
            K, T and degrees, broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        collinear : bool
            Hold the layer moments as they are without field (what if there were no spin flop).
        """
        channel = getattr(self.device.channels, CHANNELS[k])
        field = np.abs(np.asarray(B, dtype=float))
        gap = DELTA0_OVER_KTC * K_B_meV * self.bare_critical_temperature(k)
        if orientation == "out-of-plane":
            orbital = depairing.pair_breaking_perpendicular(field, channel.diffusivity)
        else:
            tilt = np.deg2rad(self.device.anomalies.tilt)
            axis = np.deg2rad(np.asarray(theta) - self.device.anomalies.tilt_axis)
            out = field * np.sin(tilt) * np.abs(np.cos(axis))
            field = np.sqrt(field**2 - out**2)
            if channel.parallel_law == "thin film":
                orbital = depairing.pair_breaking_parallel_film(
                    field, channel.diffusivity, channel.effective_thickness
                )
            else:
                orbital = depairing.pair_breaking_perpendicular(
                    field / SURFACE_SHEATH, channel.diffusivity
                )
            orbital = orbital + depairing.pair_breaking_perpendicular(out, channel.diffusivity)
        total = orbital / gap
        if channel.exchange_pair_breaking > 0:
            seen = 0.0 if collinear else field
            total = total + channel.exchange_pair_breaking * self.exchange(T, seen, orientation)
        return total

    def critical_current(
        self,
        k: int,
        T: ArrayLike,
        B: ArrayLike = 0.0,
        orientation: Orientation = "out-of-plane",
        theta: ArrayLike = 0.0,
        *,
        collinear: bool = False,
    ) -> Array:
        """Critical current of channel k, mA; 0 where the channel is normal.

        Parameters
        ----------
        k : int
            Channel 0-3.
        T, B, theta : array_like
            K, T and degrees (in-plane field only), broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        collinear : bool
            Hold the layer moments as they are without field (what if there were no spin flop).
        """
        channel = getattr(self.device.channels, CHANNELS[k])
        T = np.asarray(T, dtype=float)
        bare = self.bare_critical_temperature(k)
        ratio = depairing.critical_current_ratio(
            T / bare, self.pair_breaking(k, T, B, orientation, theta, collinear=collinear)
        )
        if channel.temperature_law == "usadel":
            reference = depairing.critical_current_ratio(
                REFERENCE_TEMPERATURE / bare,
                self.pair_breaking(k, REFERENCE_TEMPERATURE, 0.0, orientation),
            )
            current = channel.critical_current * ratio / reference
        else:
            law = laws.LAWS[channel.temperature_law]
            t = T / channel.critical_temperature
            start = law(REFERENCE_TEMPERATURE / channel.critical_temperature)
            zero = depairing.critical_current_ratio(
                T / bare, self.pair_breaking(k, T, 0.0, orientation)
            )
            in_field = np.divide(ratio, zero, out=np.zeros_like(ratio * zero), where=zero > 0)
            # without field the law holds by itself, also where Usadel has a slightly lower Tc
            in_field = np.where(np.asarray(B) == 0, 1.0, in_field)
            current = channel.critical_current * law(t) / start * in_field
        if orientation == "in-plane":
            current = current * self._angular(k, B, theta)
        return current

    def _angular(self, k: int, B: ArrayLike, theta: ArrayLike) -> Array:
        """Relative change of Ic with in-plane angle and field beyond pair breaking."""
        field = np.abs(np.asarray(B, dtype=float))
        angle = np.deg2rad(np.asarray(theta) - self.device.broadening.current_direction)
        scaled = (field / self.device.broadening.field_scale) ** 2
        if k == 3:
            return 1 - self.device.nbn.angular_anisotropy * scaled * np.sin(angle) ** 2
        anomalies = self.device.anomalies
        # Without field there is no angle: an anisotropy grows with the field, evenly. What turns
        # with the rotator (its thermometry, say) does so whatever the field.
        two_fold = anomalies.two_fold * scaled * np.cos(2 * angle)
        one_fold = anomalies.one_fold * np.cos(angle)
        step = 0.5 * (1 + np.tanh((field - anomalies.in_plane_step_field) / _STEP_WIDTH))
        return (1 + two_fold + one_fold) * (1 + anomalies.in_plane_step * step)

    def noise_temperature(
        self, B: ArrayLike = 0.0, orientation: Orientation = "out-of-plane", theta: ArrayLike = 0.0
    ) -> Array:
        """Noise temperature T_n0 [1 + b0 (B/B0)^2 + b2 (B/B0)^2 sin^2(theta - theta_I)], K.

        The two-fold part needs an in-plane field: it stands for vortices driven by the current
        component across the field.

        Parameters
        ----------
        B, theta : array_like
            T and degrees, broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        broadening = self.device.broadening
        scaled = (np.asarray(B, dtype=float) / broadening.field_scale) ** 2
        growth = broadening.isotropic
        if orientation == "in-plane":
            angle = np.deg2rad(np.asarray(theta) - broadening.current_direction)
            growth = growth + broadening.two_fold * np.sin(angle) ** 2
        return broadening.noise_temperature * (1 + growth * scaled)

    def present(self, k: int) -> bool:
        """Whether the device has channel k."""
        return getattr(self.device.channels, CHANNELS[k]).present

    # --- Andreev contact -----------------------------------------------------------------------

    def andreev_gap(
        self,
        T: ArrayLike,
        B: ArrayLike = 0.0,
        orientation: Orientation = "out-of-plane",
        theta: ArrayLike = 0.0,
    ) -> Array:
        """Gap at the Andreev contact, meV.

        Without field the BCS gap that closes at T_AR; in a field reduced by the same factor as
        the order parameter of channel 0 under its orbital pair breaking and, in part, under the
        change of its exchange pair breaking (``exchange_share``).

        Parameters
        ----------
        T, B, theta : array_like
            K, T and degrees, broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        T = np.asarray(T, dtype=float)
        contact = self.device.andreev
        gap = bcs.gap(T, contact.critical_temperature)
        t = T / self.bare_critical_temperature(0)
        zero = self.pair_breaking(0, T, 0.0, orientation)
        alpha = self.pair_breaking(0, T, B, orientation, theta, collinear=True)
        if contact.exchange_share > 0:
            total = self.pair_breaking(0, T, B, orientation, theta)
            alpha = alpha + contact.exchange_share * (total - alpha)
        before, after = depairing.order_parameter(t, zero), depairing.order_parameter(t, alpha)
        # Between the critical temperatures of channel and contact the ratio says nothing at zero
        # field, where the gap is the contact's own; any field then closes it.
        unchanged = np.broadcast_to(alpha <= zero, np.broadcast(after, before).shape)
        return gap * np.divide(after, before, out=unchanged.astype(float), where=before > 0)

    def andreev_resistance(
        self, T: ArrayLike, B: ArrayLike = 0.0, orientation: Orientation = "out-of-plane"
    ) -> Array:
        """Zero-bias resistance of the Andreev contact, ohm.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        contact = self.device.andreev
        T, B = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
        if not contact.present:
            return np.zeros(T.shape)
        if contact.ohmic:
            return np.full(T.shape, contact.resistance)
        gap = self.andreev_gap(T, B, orientation)
        out = np.ones(T.shape)
        on = gap > 0
        if np.any(on):
            out[on] = andreev.zero_bias_resistance(
                T[on], gap[on], contact.barrier, contact.polarisation
            )
        return contact.resistance * out

    # --- resistances ---------------------------------------------------------------------------

    def mnbi2te4_resistance(
        self, T: ArrayLike, B: ArrayLike = 0.0, direction: ArrayLike = 1.0
    ) -> Array:
        """Resistance of the flake in a perpendicular field, ohm, with the odd contact admixture.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        direction : array_like
            Sign of dB/dt; matters for a spin flop with hysteresis only.
        """
        flake = self.device.mnbi2te4
        T, B = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
        if not flake.present:
            return np.zeros(T.shape)
        magnetism = self.device.magnetism
        ratio = resistance.mnbi2te4_ratio(
            T,
            neel_temperature=magnetism.neel_temperature,
            neel_spread=magnetism.neel_spread,
            order_amplitude=flake.order_amplitude,
            fluctuation_amplitude=flake.fluctuation_amplitude,
            fluctuation_width=flake.fluctuation_width,
            slope=flake.slope,
            beta=flake.order_exponent,
        )
        if np.any(B != 0) or self.magnet.ferromagnetic:
            c2 = magnet.magnetisation_squared(
                T,
                B,
                self.magnet,
                flop_spread=magnetism.spin_flop_spread,
                layers=magnetism.layers,
                hysteresis=magnetism.spin_flop_hysteresis,
                growing=B * np.asarray(direction, dtype=float) >= 0,
            )
            even = resistance.mnbi2te4_magnetoresistance(
                B,
                c2,
                alignment=flake.alignment_magnetoresistance,
                quadratic=flake.quadratic_magnetoresistance,
            )
            ratio = ratio * (even + flake.hall_admixture * B)
        return flake.resistance * ratio

    def mnbi2te4_resistance_in_plane(self, T: ArrayLike, B: ArrayLike = 0.0) -> Array:
        """Resistance of the flake in an in-plane field, ohm.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        """
        flake = self.device.mnbi2te4
        T, B = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
        if not flake.present:
            return np.zeros(T.shape)
        state = magnet.mean_field(T, B, self.magnet, "in-plane")
        ratio = resistance.mnbi2te4_magnetoresistance(
            B,
            state.M**2,
            alignment=flake.alignment_magnetoresistance,
            quadratic=flake.quadratic_magnetoresistance,
        )
        return self.mnbi2te4_resistance(T) * ratio

    def film_ratio(self, T: ArrayLike, B: ArrayLike = 0.0) -> Array:
        """R/R_n of the NbN film, perpendicular field.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        """
        return resistance.nbn_ratio(
            T, B, mean_field_temperature=self.mean_field_temperature, **self.film_law
        )

    def nbn_resistance(self, T: ArrayLike, B: ArrayLike = 0.0) -> Array:
        """Resistance of the NbN film, ohm.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        """
        return self.device.channels.Ic3.resistance * self.film_ratio(T, B)

    def interface_resistance(
        self, T: ArrayLike, B: ArrayLike = 0.0, direction: ArrayLike = 1.0
    ) -> Array:
        """Zero-current resistance of the interface configuration, perpendicular field, ohm.

        Flake, thermally activated channels 0-2, film and Andreev contact in series, and the loop
        of the interface layer.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        direction : array_like
            Sign of dB/dt.
        """
        T, B = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
        total = self.mnbi2te4_resistance(T, B, direction) + self.andreev_resistance(T, B)
        noise = self.noise_temperature(B)
        for k in range(3):
            if self.present(k):
                channel = getattr(self.device.channels, CHANNELS[k])
                critical = self.critical_current(k, T, B)
                if channel.switching == "phase slip":
                    ratio = np.where(critical > 0, 0.0, 1.0)
                else:
                    ratio = resistance.phase_slip_ratio(rsj.gamma(critical, noise))
                total = total + channel.resistance * ratio
        if self.present(3):
            total = total + self.nbn_resistance(T, B)
        return total + self.loop(T, B, direction)

    def coercive_field(self, T: ArrayLike) -> Array:
        """Coercive field of the interface, T."""
        loops = self.device.loops
        return hysteresis.coercive_field(
            T,
            zero_temperature=loops.coercive_field,
            ordering_temperature=self.device.magnetism.neel_temperature,
            law=loops.law,
            softening=loops.softening,
            m=self.sublattice_magnetisation(T),
        )

    def loop_amplitude(self, T: ArrayLike) -> Array:
        """Height of the loops, ohm."""
        return hysteresis.loop_amplitude(
            T,
            zero_temperature=self.device.loops.amplitude,
            ordering_temperature=self.device.magnetism.neel_temperature,
            m=self.sublattice_magnetisation(T),
        )

    def loop(self, T: ArrayLike, B: ArrayLike, direction: ArrayLike) -> Array:
        """Contribution of the interface layer's hysteresis, ohm.

        Parameters
        ----------
        T, B : array_like
            K and T, broadcast.
        direction : array_like
            Sign of dB/dt.
        """
        return hysteresis.loop_resistance(
            B,
            direction,
            coercive_field=self.coercive_field(T),
            width=self.device.loops.width,
            amplitude=self.loop_amplitude(T),
            square_fraction=self.device.loops.square_fraction,
        )

    def resistance(
        self, configuration: Configuration, T: ArrayLike, B: ArrayLike, direction: ArrayLike = 1.0
    ) -> Array:
        """Zero-current resistance of one of the three configurations, ohm.

        Parameters
        ----------
        configuration : {"interface", "MnBi2Te4", "NbN"}
            Which contacts.
        T, B : array_like
            K and T (perpendicular), broadcast.
        direction : array_like
            Sign of dB/dt.
        """
        _check_configuration(configuration)
        if configuration == "interface":
            return self.interface_resistance(T, B, direction)
        if configuration == "MnBi2Te4":
            return self.mnbi2te4_resistance(T, B, direction)
        return self.nbn_resistance(T, B)

    # --- V(I) ----------------------------------------------------------------------------------

    def voltage(
        self,
        configuration: Configuration,
        current: ArrayLike,
        T: ArrayLike,
        B: float = 0.0,
        orientation: Orientation = "out-of-plane",
        theta: float = 0.0,
    ) -> Array:
        """Voltage of one sweep, mV, without self-heating.

        V = R_s I + sum_k R_k Ic_k v(I/Ic_k, gamma_k) + V_AR(I); channels above their Tc are ohmic.
        A phase-slip channel contributes R_k (I - beta Ic_k) above its Ic instead.

        Parameters
        ----------
        configuration : {"interface", "MnBi2Te4", "NbN"}
            Which contacts.
        current : array_like
            mA, one sweep.
        T : array_like
            Temperature of each point, K, broadcast against ``current``.
        B, theta : float
            Field, T, and its in-plane angle, degrees.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        _check_configuration(configuration)
        current, T = np.broadcast_arrays(
            np.asarray(current, dtype=float), np.asarray(T, dtype=float)
        )
        if current.size == 0:
            return np.zeros(current.shape)
        nodes, weight = _temperature_nodes(T)
        if configuration == "MnBi2Te4":
            return weight(self._flake(nodes, B, orientation)) * current
        total = np.zeros(current.shape)
        noise = float(self.noise_temperature(B, orientation, theta))
        for k in (0, 1, 2, 3) if configuration == "interface" else (3,):
            if not self.present(k):
                continue
            total += self._channel_voltage(k, current, nodes, weight, B, orientation, theta, noise)
        if configuration == "interface":
            total += weight(self._flake(nodes, B, orientation)) * current
            if self.device.andreev.present:
                total += self._andreev_voltage(current, T, nodes, weight, B, orientation, theta)
        return total

    def voltage_map(
        self,
        configuration: Configuration,
        current: ArrayLike,
        T: ArrayLike,
        B: float = 0.0,
        orientation: Orientation = "out-of-plane",
        theta: float = 0.0,
    ) -> Array:
        """Voltage at all pairs of temperature and current, mV, shape (temperatures, currents).

        The same sum as `voltage`, by the tabulated curves: quick where many temperatures are
        needed.

        Parameters
        ----------
        configuration : {"interface", "MnBi2Te4", "NbN"}
            Which contacts.
        current, T : array_like
            mA and K, one-dimensional.
        B, theta : float
            Field, T, and its in-plane angle, degrees.
        orientation : {"out-of-plane", "in-plane"}
            Field direction.
        """
        _check_configuration(configuration)
        T = np.asarray(T, dtype=float)
        series = self._flake(T, B, orientation)[:, None]
        if configuration == "MnBi2Te4":
            return series * np.asarray(current)
        channels = [k for k in range(4) if self.present(k)]
        contact = None
        if configuration == "NbN":
            series, channels = np.zeros_like(series), [3] if self.present(3) else []
        elif self.device.andreev.present and self.device.andreev.ohmic:
            series = series + self.device.andreev.resistance
        elif self.device.andreev.present:
            contact = {
                "T": T[:, None],
                "gap": self.andreev_gap(T, B, orientation, theta)[:, None],
                "Z": self.device.andreev.barrier,
                "P": self.device.andreev.polarisation,
                "R_N": self.device.andreev.resistance,
            }
        current = np.asarray(current, dtype=float)
        steps = np.zeros((T.size, current.size))
        Ic, R = [], []
        for k in channels:
            channel = getattr(self.device.channels, CHANNELS[k])
            critical = np.maximum(self.critical_current(k, T, B, orientation, theta), 0.0)
            normal = self._normal_resistance(k, T, B, orientation, critical)
            if channel.switching == "phase slip":
                on = critical > 0
                steps[on] += self._phase_slip(channel, current, critical[on][:, None])
                normal, critical = np.where(on, 0.0, normal), np.zeros_like(critical)
            Ic.append(critical)
            R.append(normal)
        if not channels:
            Ic, R = [np.zeros_like(T)], [np.zeros_like(T)]
        return steps + junction.voltage(
            current[None, :],
            V0=0.0,
            R_s=series,
            Ic=np.array(Ic)[:, :, None],
            R=np.array(R)[:, :, None],
            Tn=float(self.noise_temperature(B, orientation, theta)),
            andreev=contact,
        )

    def largest_resistance(self, configuration: Configuration) -> float:
        """Upper bound of V/I, ohm: everything normal, the Andreev contact at its worst."""
        channels = [k for k in range(4) if self.present(k)]
        total = 1.2 * self.device.mnbi2te4.resistance * self.device.mnbi2te4.present
        if configuration == "MnBi2Te4":
            return total
        if configuration == "NbN":
            total, channels = 0.0, [3]
        elif self.device.andreev.present:
            z, p = self.device.andreev.barrier, self.device.andreev.polarisation
            worst = (1 + 2 * z**2) ** 2 / (2 * (1 - p) * (1 + z**2)) if p < 1 else 100.0
            total += self.device.andreev.resistance * max(1.0, worst)
        return total + sum(getattr(self.device.channels, CHANNELS[k]).resistance for k in channels)

    def _flake(self, T: Array, B: float, orientation: Orientation) -> Array:
        if orientation == "out-of-plane":
            return self.mnbi2te4_resistance(T, B)
        return self.mnbi2te4_resistance_in_plane(T, B)

    def _normal_resistance(
        self, k: int, T: Array, B: float, orientation: Orientation, critical: Array
    ) -> Array:
        """Resistance of a channel above its Ic; above its Tc the film shows paraconductivity."""
        normal = np.full(np.shape(T), getattr(self.device.channels, CHANNELS[k]).resistance)
        if k != 3 or np.all(critical > 0):
            return normal
        fluctuating = self.film_ratio(T, B if orientation == "out-of-plane" else 0.0)
        return np.where(critical > 0, normal, normal * fluctuating)

    def _channel_voltage(self, k, current, nodes, weight, B, orientation, theta, noise) -> Array:
        channel = getattr(self.device.channels, CHANNELS[k])
        critical = np.maximum(weight(self.critical_current(k, nodes, B, orientation, theta)), 0.0)
        normal = channel.resistance
        if k == 3 and np.any(critical <= 0):
            film = self.film_ratio(nodes, B if orientation == "out-of-plane" else 0.0)
            normal = np.where(critical > 0, normal, normal * weight(film))
        out = normal * current
        if channel.switching == "phase slip":
            on = critical > 0
            out[on] = self._phase_slip(channel, current[on], critical[on])
            return out
        # gamma below 1e-3 is ohmic to 1e-6; far below Ic the phase does not slip at all
        gamma = rsj.gamma(critical, noise)
        on = gamma > 1e-3
        i = np.divide(current, critical, out=np.zeros(current.shape), where=on)
        stuck = on & (2 * gamma * _washboard(np.abs(i)) > 60)
        on &= ~stuck
        out[stuck] = 0.0
        if np.any(on):
            v = rsj.voltage(i[on], gamma[on])
            out[on] = channel.resistance * critical[on] * v
        return out

    @staticmethod
    def _phase_slip(channel: Channel, current: Array, critical: Array) -> Array:
        return junction.phase_slip_voltage(
            current,
            critical,
            channel.resistance,
            channel.excess_fraction,
            channel.critical_current_spread * critical,
        )

    def _andreev_voltage(self, current, T, nodes, weight, B, orientation, theta) -> Array:
        contact = self.device.andreev
        if contact.ohmic:
            return contact.resistance * current
        gap = self.andreev_gap(nodes, B, orientation, theta)
        if not np.any(gap > 0):
            return contact.resistance * current
        if nodes.size == 1:
            return andreev.voltage(
                current,
                float(nodes[0]),
                float(gap[0]),
                contact.barrier,
                contact.polarisation,
                contact.resistance,
            )
        if nodes.size <= 3:  # a quiet sweep: quadratic in temperature between few exact curves
            curves = [
                andreev.voltage(
                    current,
                    float(t),
                    float(g),
                    contact.barrier,
                    contact.polarisation,
                    contact.resistance,
                )
                if g > 0
                else contact.resistance * current
                for t, g in zip(nodes, gap, strict=True)
            ]
            return weight(np.array(curves))
        # a heated sweep: cubic in temperature through the curves of the nodes around each point
        curves = andreev.voltage(
            current[None, :],
            nodes[:, None],
            gap[:, None],
            contact.barrier,
            contact.polarisation,
            contact.resistance,
        )
        place = (T - nodes[0]) / (nodes[1] - nodes[0])
        first = np.clip(place.astype(int) - 1, 0, nodes.size - 4)
        x, column = place - first, np.arange(current.size)
        basis = (
            -(x - 1) * (x - 2) * (x - 3) / 6,
            x * (x - 2) * (x - 3) / 2,
            -x * (x - 1) * (x - 3) / 2,
            x * (x - 1) * (x - 2) / 6,
        )
        return sum(weight_ * curves[first + j, column] for j, weight_ in enumerate(basis))

    # --- truths used by the closure tests -------------------------------------------------------

    @cached_property
    def critical_temperatures(self) -> tuple[float, ...]:
        """Temperature at which each channel's Ic vanishes without field, K.

        Slightly above the stated Tc of a channel with exchange pair breaking, because the
        sublattice magnetisation at Tc is a little below 1.
        """
        out = []
        for k in range(4):
            channel = getattr(self.device.channels, CHANNELS[k])
            if channel.temperature_law != "usadel":
                out.append(channel.critical_temperature)
                continue
            low, high = REFERENCE_TEMPERATURE, self.bare_critical_temperature(k) + 1e-6
            for _ in range(60):
                middle = 0.5 * (low + high)
                if float(self.critical_current(k, middle)) > 0:
                    low = middle
                else:
                    high = middle
            out.append(0.5 * (low + high))
        return tuple(out)


def _check_configuration(configuration: str) -> None:
    if configuration not in CONFIGURATIONS:
        raise ValueError(
            f"configuration must be one of {', '.join(CONFIGURATIONS)}, found {configuration!r}"
        )


def _washboard(i: Array) -> Array:
    """Barrier of the tilted washboard over 2 E_J: sqrt(1-i^2) - i arccos i, 0 above i = 1."""
    x = np.minimum(i, 1.0)
    return np.sqrt(1 - x**2) - x * np.arccos(x)


def _temperature_nodes(T: Array):
    """Few temperatures that span a sweep, and the interpolation from them to its points.

    A quiet sweep moves by millikelvin, so slow functions of T are evaluated at three nodes and
    interpolated quadratically; a heated one gets a dense grid.
    """
    low, high = float(T.min()), float(T.max())
    if high - low < 1e-9:
        return np.array([low]), lambda values: np.broadcast_to(
            np.asarray(values)[0], T.shape
        ).copy()
    if high - low < 0.3:
        nodes = np.array([low, 0.5 * (low + high), high])
        x = (T - low) / (high - low)
        basis = np.array([(1 - x) * (1 - 2 * x), 4 * x * (1 - x), x * (2 * x - 1)])
        return nodes, lambda values: np.einsum("n...,n...->...", basis, _columns(values, T.ndim))
    nodes = np.linspace(low, high, max(int(np.ceil((high - low) / 0.04)) + 1, 12))

    def interpolate(values: ArrayLike) -> Array:
        with np.errstate(all="ignore"):  # slopes of 1e-300 overflow inside, harmlessly
            return PchipInterpolator(nodes, np.asarray(values))(T)

    return nodes, interpolate


def _columns(values: ArrayLike, ndim: int) -> Array:
    values = np.asarray(values, dtype=float)
    return values if values.ndim > 1 else values.reshape(-1, *([1] * ndim))

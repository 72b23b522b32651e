"""Default settings of a TideLog gateway, as shipped by Tarnwell Instruments.

The gateway reads this file once, when it starts. Installers override single values in the local
dashboard; those changes are kept in a separate file and survive an update of the software. Values
that are marked as fixed must not be changed in the field, because the certification of the radio
depends on them. Ask the cloud team in Porto before adding a setting.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SensorBus:
    """The wired connection between the gateway and its sensors.

    Up to 32 sensors share one bus. Longer cables than 300 metres need a repeater, because the
    voltage drops too far for the last sensor to start.
    """

    baud_rate: int = 19_200
    sampling_interval_seconds: int = 60
    silent_sensor_after_seconds: int = 300
    """A sensor that has not answered for five minutes is reported as silent."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """The connection to the cloud.

    Readings are sent in batches. If the cloud does not answer, the gateway waits before it tries
    again, and it doubles the waiting time after each failure until the longest pause is reached.
    Without this rule, all gateways would call at the same moment after an outage and bring the
    broker down once more.
    """

    broker_port: int = 8883
    batch_size: int = 250
    first_retry_seconds: int = 10
    longest_pause_seconds: int = 900
    """The pause between two attempts never grows beyond fifteen minutes."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """When the gateway raises an alarm by itself.

    Oxygen below the limit is the most urgent alarm, since fish may die within half an hour. To
    avoid false alarms, three readings in a row must lie beyond the limit. An alarm ends only when
    the reading has returned by more than the hysteresis.
    """

    dissolved_oxygen_minimum_mg_per_litre: float = 5.5
    turbidity_maximum_units: float = 4.0
    readings_in_a_row: int = 3
    hysteresis_percent: float = 2.0


@dataclass(frozen=True, slots=True)
class Radio:
    """The long-range radio of gateways without a wired network; all values are fixed.

    The transmitter may be on the air for at most one percent of the time, as the rules for this
    band demand.
    """

    frequency_megahertz: float = 868.1
    power_milliwatts: int = 25


def retry_pause(failures: int, uplink: Uplink | None = None) -> int:
    """Return the pause in seconds after the given number of failures in a row."""
    settings = uplink or Uplink()
    pause = settings.first_retry_seconds * 2 ** max(failures - 1, 0)
    return min(pause, settings.longest_pause_seconds)

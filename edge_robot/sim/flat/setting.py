"""How the simulated robot differs from a perfect one: the settings of the benchmark.

What the words of the benchmark are taken to mean:

- **Wheel slip 15 %**: each side loses a share of its wheels' speed that wanders between 0 and 15 %,
  uniformly distributed, with a correlation time of 0.5 s, independently of the other side. So it
  both slows and turns the robot: at 2 m/s by up to 0.5 rad/s.
- **Speed gain 0.93**: wheels turn at 0.93 of the commanded speed, forward and in turning.
- **Scan noise**: Gaussian on every range, independent.
- **Latency 100 ms**: from capture to the first effect of a command made from it, all together.
  Scans and odometry arrive 25 ms after their capture and say so by their stamps; the planner has
  one period of 25 ms to answer (what it takes longer comes on top); then 50 ms pass before the
  controller of the base hears of the command, which nothing tells the planner. Motor lag and ramp
  come after that, too. Nominally the 25 ms of the planner are all there is.
- **Odometry drift 1 %**: distances are measured wrong by a factor drawn once per drive, 1 ± 1 %
  (1σ), angles by another, and the heading drifts by 2 mrad per metre (1σ, drawn once): on a
  straight drive of 10 m, scale and heading each take the position 1 % off. Odometry is taken to
  be a fusion of wheels and gyroscope as on a Jackal: slip enters it only as this drift. Its
  velocities have the same errors, and in every setting noise of 1 cm/s and 0.01 rad/s.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Disturbances of a drive.

    Attributes:
        name: As the command line has it.
        slip: Largest share of its speed a side loses.
        speed_gain: What the wheels make of a command.
        scan_noise: Standard deviation of a range, m.
        sensing_delay: From capture to the planner, in periods.
        command_latency: From the planner's answer to the base, s.
        drift: Relative error of odometry (1σ).
    """

    name: str
    slip: float
    speed_gain: float
    scan_noise: float
    sensing_delay: int
    command_latency: float
    drift: float


NOMINAL = Setting("nominal", 0.0, 1.0, 0.005, 0, 0.0, 0.0)
DISTURBED = Setting("disturbed", 0.15, 0.93, 0.02, 1, 0.05, 0.01)
SEVERE = Setting("severe", 0.30, 0.93, 0.02, 1, 0.10, 0.01)
SETTINGS = {setting.name: setting for setting in (NOMINAL, DISTURBED, SEVERE)}

from .counting import PairTable as PairTable
from .counting import count_pairs as count_pairs
from .geometry import Distribution as Distribution
from .geometry import bond_angles as bond_angles
from .geometry import bond_lengths as bond_lengths
from .geometry import coordination_numbers as coordination_numbers
from .geometry import largest_distance as largest_distance
from .geometry import mean_coordination as mean_coordination
from .geometry import radius_of_gyration as radius_of_gyration
from .geometry import surface_mask as surface_mask
from .particle import Lattice as Lattice
from .particle import Particle as Particle

__all__: list[str]

from .bond_valence import BondValenceRestraint as BondValenceRestraint
from .convention import Convention as Convention
from .energy import EnergyRestraint as EnergyRestraint
from .geometry import GeometryRestraint as GeometryRestraint
from .model import Model as Model
from .params import Parameters as Parameters
from .restraints import AngleRestraint as AngleRestraint
from .restraints import BondRestraint as BondRestraint
from .restraints import ValueRestraint as ValueRestraint

__all__: list[str]

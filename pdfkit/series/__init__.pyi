from .curves import Curves as Curves
from .kinetics import Kinetics as Kinetics
from .kinetics import fit_kinetics as fit_kinetics
from .mixtures import Mixture as Mixture
from .mixtures import mixture as mixture
from .rates import Activation as Activation
from .rates import activation as activation
from .transitions import Transition as Transition
from .transitions import transition as transition
from .views import Components as Components
from .views import differences as differences
from .views import distances as distances
from .views import nmf as nmf
from .views import pca as pca
from .views import pearson as pearson

__all__: list[str]

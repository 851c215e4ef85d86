from .curves import Curves as Curves
from .views import Components as Components
from .views import differences as differences
from .views import distances as distances
from .views import nmf as nmf
from .views import pca as pca
from .views import pearson as pearson

__all__: list[str]

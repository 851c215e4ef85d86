from .report import BenchReport as BenchReport
from .runner import bench as bench

__all__: list[str]

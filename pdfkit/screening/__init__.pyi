from .ranking import Ranking as Ranking
from .ranking import RankingRow as RankingRow
from .run import Progress as Progress
from .screening import confusion as confusion
from .screening import screen as screen
from .study import Confusion as Confusion

__all__: list[str]

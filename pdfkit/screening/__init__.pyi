from .certificate import Certificate as Certificate
from .ranking import Ranking as Ranking
from .rows import RankingRow as RankingRow
from .screening import confusion as confusion
from .screening import screen as screen
from .settings import Composition as Composition
from .settings import Limits as Limits
from .settings import Progress as Progress
from .settings import ScreenFit as ScreenFit
from .settings import Work as Work
from .study import Confusion as Confusion

__all__: list[str]

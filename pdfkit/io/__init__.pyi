from .cif.files import write_cif as write_cif
from .columns import read_columns as read_columns
from .columns import write_columns as write_columns
from .exports import write_fgr as write_fgr
from .exports import write_project as write_project
from .exports import write_res as write_res
from .intensity import read_intensity as read_intensity
from .pdf import read_pdf as read_pdf
from .pdf import write_pdf as write_pdf
from .sq import read_sq as read_sq
from .sq import write_sq as write_sq
from .stru_text import write_stru as write_stru
from .structures import available_structures as available_structures
from .structures import load_structure as load_structure
from .structures import read_structure as read_structure
from .xyz import available_clusters as available_clusters
from .xyz import write_xyz as write_xyz

__all__: list[str]

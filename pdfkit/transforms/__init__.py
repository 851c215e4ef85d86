"""Every function of total scattering, how one becomes another, and the sine transform between Q and r.

Definitions. ⟨f⟩ = Σc_a f_a and ⟨f²⟩ = Σc_a f_a² over the species; ρ(r) is the weighted density of atoms at r
from an atom, ρ₀ the mean number density in Å⁻³, γ₀(r) the shape function of the particle (1 in bulk).

| symbol | unit | definition | functions |
|---|---|---|---|
| I(Q) | f² per atom | coherent intensity per atom | `I_to_S`, `S_to_I` |
| S(Q) | 1 | Faber–Ziman: [I − ⟨f²⟩ + ⟨f⟩²]/⟨f⟩²; → 1 at large Q | `S_to_F`, `F_to_S` |
| F(Q) | Å⁻¹ | Q[S(Q) − 1] | `sine_transform` |
| G(r) | Å⁻² | (2/π)∫F(Q)M(Q) sin(Qr) dQ = 4πr[ρ(r) − ρ₀γ₀(r)] | `inverse_sine_transform` |
| g(r) | 1 | 1 + G/(4πrρ₀); → 1 at large r (bulk) | `G_to_g`, `g_to_G` |
| R(r) | Å⁻¹ | rG + 4πr²ρ₀γ₀, the radial distribution function | `G_to_R`, `R_to_G` |
| S_AL(Q) | 1 | Ashcroft–Langreth total: I/⟨f²⟩ = 1 + (⟨f⟩²/⟨f²⟩)[S − 1] | `S_to_AL`, `AL_to_S` |
| S_ab^AL | 1 | δ_ab + √(c_a c_b)[S_ab − 1], of a partial S_ab(Q) | `partial_to_AL`, `AL_to_partial` |
| F_K(Q) | barn | ⟨b⟩²[S(Q) − 1], Keen's F(Q) | `S_to_keen_F`, `keen_F_to_S` |
| G_K(r) | barn | ⟨b⟩²[g(r) − 1], Keen's G(r) | `G_to_keen_G`, `keen_G_to_G` |
| D(r) | barn Å⁻² | 4πrρ₀ G_K(r) = ⟨b⟩² G(r), Keen's differential function | `G_to_D`, `D_to_G` |
| T(r) | barn Å⁻² | D(r) + 4πrρ₀⟨b⟩², Keen's total function | `G_to_T`, `T_to_G` |

The same letters mean other things elsewhere: RMCProfile and the ISIS programs call G_K "G(r)", and F(Q) there
is ⟨b⟩²[S(Q) − 1]. Keen's forms take ⟨b⟩ in fm and give barn (1 fm² = 0.01 barn) [Keen, J. Appl. Cryst. 34,
172 (2001)]. Ashcroft & Langreth, Phys. Rev. 156, 685 (1967), count the atoms of each species for themselves: their
partials are those of number fluctuations.
"""

from pdfkit.transforms.definitions import (
    AL_to_partial,
    AL_to_S,
    D_to_G,
    F_to_S,
    G_to_D,
    G_to_g,
    G_to_keen_G,
    G_to_R,
    G_to_T,
    I_to_S,
    R_to_G,
    S_to_AL,
    S_to_F,
    S_to_I,
    S_to_keen_F,
    T_to_G,
    g_to_G,
    keen_F_to_S,
    keen_G_to_G,
    partial_to_AL,
)
from pdfkit.transforms.sine import WINDOWS, cut_kernel, inverse_sine_transform, sine_transform, window
from pdfkit.transforms.sine import phase_sum as phase_sum
from pdfkit.transforms.sine import sine_sums as sine_sums
from pdfkit.transforms.sine import smooth_sine_sums as smooth_sine_sums
from pdfkit.transforms.sine import trapezoids as trapezoids

__all__ = [
    "WINDOWS",
    "AL_to_S",
    "AL_to_partial",
    "D_to_G",
    "F_to_S",
    "G_to_D",
    "G_to_R",
    "G_to_T",
    "G_to_g",
    "G_to_keen_G",
    "I_to_S",
    "R_to_G",
    "S_to_AL",
    "S_to_F",
    "S_to_I",
    "S_to_keen_F",
    "T_to_G",
    "cut_kernel",
    "g_to_G",
    "inverse_sine_transform",
    "keen_F_to_S",
    "keen_G_to_G",
    "partial_to_AL",
    "sine_transform",
    "window",
]

"""What a run looks like to a reader: layer rows, pictures and the single-file page.

Pages are composed from `Section`s, so every kind of run (search, slimming, training) shares one look.
"""

from nas.report.layer_rows import LayerRow, layer_rows
from nas.report.page import Figure, Section, render_page

__all__ = ["Figure", "LayerRow", "Section", "layer_rows", "render_page"]

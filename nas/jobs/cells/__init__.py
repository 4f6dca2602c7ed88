"""Cells: search them on images (DARTS, PC-DARTS), train what was found or published."""

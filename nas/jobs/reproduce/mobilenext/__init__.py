"""MobileNeXt (Zhou et al., ECCV 2020, arXiv 2007.02269), recreated."""

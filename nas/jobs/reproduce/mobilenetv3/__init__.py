"""MobileNetV3 (Howard et al., arXiv 1905.02244) as a pipeline; one module for each stage."""

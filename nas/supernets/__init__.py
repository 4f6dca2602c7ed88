"""Supernets at work: training modes, differentiable logits, settings."""

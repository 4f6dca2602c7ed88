"""Search, NetAdapt and their rivals from one fine-tuned network, at equal latency after equal training."""

"""Train one network and leave its weights, curve and exported model."""

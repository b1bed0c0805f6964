"""The page “Model comparison”: two models on the same images, or the checkpoints of a training."""

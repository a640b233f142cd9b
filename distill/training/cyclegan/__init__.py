"""Train CycleGAN: two translators between two sets of pictures without partners."""

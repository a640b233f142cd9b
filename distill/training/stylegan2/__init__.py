"""Train a StyleGAN2: the choices (presets), the losses, and the update that the common loop drives."""

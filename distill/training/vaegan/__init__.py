"""Train a VAE/GAN: pictures to a small latent and back, and attributes as directions in it."""

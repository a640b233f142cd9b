"""Photos in, photos out: a student, or the latent edit it was distilled from, on somebody's own photos."""

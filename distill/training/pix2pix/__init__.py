"""Train a student: Pix2PixHD on the triplets of a data set."""

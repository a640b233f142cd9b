"""Plain images as a data set: prepared from a folder of pictures, or drawn as avatars, with labels and weights."""

"""Directions in w+: what a step along one does to a face, how they are found, and the files that hold them."""

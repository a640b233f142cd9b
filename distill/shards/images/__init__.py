"""Unpaired image sets: one HDF5 file of pictures with labels and sampling weights, for unpaired trainers."""

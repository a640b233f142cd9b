"""A part of one face onto another, by how far each style channel goes from the person's to the reference's.

Nothing here knows what a part is: a region is a soft mask [N, H, W] from 0 to 1.
"""

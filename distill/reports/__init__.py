"""Data sets for people and for other programs: the card, the contact sheet, the page, and exports.

Reads shards through `distill.shards` and nothing else.
"""

"""Trying a student out: the web page that needs no server."""

"""A student on a video: find and follow faces, smooth their crops over time, translate, paste, encode."""

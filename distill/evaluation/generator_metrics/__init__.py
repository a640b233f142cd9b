"""The published measures of a generator: FID, KID, precision and recall, path lengths, linear separability."""

"""The command line: parses, calls, reports. The only place that imports click and `pipelines`."""

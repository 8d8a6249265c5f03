"""Monitoring: the list of metrics, the blocks they stand in, the exporter, dashboards and alerts made of the list."""

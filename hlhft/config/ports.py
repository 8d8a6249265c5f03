"""Every port that something of hlhft listens on, once; settings default to these, and the appliance opens no other."""

from __future__ import annotations

EXCHANGE = 3001  # the embedded exchange, which is never asked from outside
EXPORTER = 9464  # metrics, on loopback or a given address
PROMETHEUS = 9090
ALERTMANAGER = 9093
GRAFANA = 3000

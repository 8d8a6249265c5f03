"""Every port that something of hlhft listens on, once; settings default to these, and the appliance opens no other."""

from __future__ import annotations

EXCHANGE = 3001  # the embedded exchange, which is never asked from outside
EXPORTER = 9464  # metrics, on loopback or a given address
PROMETHEUS = 9090
ALERTMANAGER = 9093
GRAFANA = 3000
WIREGUARD = 51820
HEARTBEAT = 9465  # of a watchdog on another host, over WireGuard
ALPHA_FEATURES = 9466  # rows of the engine, on loopback, encrypted
ALPHA_SNAPSHOT = 9467
ALPHA_SIGNALS = 9468
PAPER_EXCHANGE = 3002  # the embedded exchange as a service, where a node's own info server may have 3001
NODE_GOSSIP_FIRST = 4001  # a node's peers reach it there; the venue's software names both
NODE_GOSSIP_SECOND = 4002
SCHEDULER = 8786  # of a cluster, over WireGuard; Dask's own
WORKER_FIRST = 8800  # of the processes of one host that work for it, and of what watches each
WORKER_LAST = 8863
NANNY_FIRST = 8864
NANNY_LAST = 8927

"""Recordings in: readers, validation, order by both clocks, and what happened between two snapshots.

`sources.open_source` reads any known recording as event arrays in order of arrival; `feed.replay_events` turns them
into the one array, sorted by both clocks, that a replay walks. The miner (archive downloads) and the catalogue
(Parquet, hour by hour) have their place in this folder, as `miner.py` and `catalogue.py`.
"""

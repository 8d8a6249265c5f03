"""The networks: LiT and its rival DeepLOB. Their settings (`config`) need no torch, everything else does."""

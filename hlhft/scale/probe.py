"""A task that does nothing of use: what a cluster is tried with and its overhead measured."""

from __future__ import annotations

import hashlib
import time

from hlhft.scale.worker import Job

TASKS = ("busy",)
CHECK_SECONDS = 0.05


def busy(job: Job) -> bytes:
    """Waits `params["seconds"]`, or computes as long where `params["compute"]` is true, and names its seed.

    Where `params["begun"]` names a file, a line in it says that an attempt began. Every input is read; the result is a
    hash over them, the parameters' "mark" and the seed.
    """
    if "begun" in job.params:
        with open(job.params["begun"], "a") as file:
            file.write(f"{job.seed}\n")
    until = time.monotonic() + float(job.params.get("seconds", 0.0))
    compute = bool(job.params.get("compute", False))
    while (left := until - time.monotonic()) > 0:
        job.check()
        if compute:
            hashlib.blake2b(bytes(1 << 16)).digest()
        else:
            time.sleep(min(left, CHECK_SECONDS))
    digest = hashlib.blake2b(f"{job.params.get('mark', '')} {job.seed}".encode(), digest_size=16)
    for name in job.params.get("inputs", ()):
        digest.update(job.input(name).read_bytes())
    job.log.info("seed %d, done", job.seed)
    return digest.hexdigest().encode()

"""Work on more cores than a process has, and on more machines: tasks by content, their results by content, back-ends.

A task (`task.py`) is a pure function by name, its parameters, inputs by hash, a seed and the revision of the code; its
key is a hash of all of them. Results lie in a storage (`storage.py`) under that key, so what was done once is never
done again, wherever it was done. `running.py` drives tasks through a back-end (`backends.py`, `dask_backend.py`);
`worker.py` is what runs one, where the inputs are. A sweep (`sweeping.py`) runs over rows that are inputs; who made
them is the matter of `compiling.py`.
"""

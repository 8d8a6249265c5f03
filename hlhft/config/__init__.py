"""Every setting, defined once: `settings` says what there is, `load` reads it. Nothing here imports the core or numba.

The watchdog reads its settings here too, and must run without either.
"""

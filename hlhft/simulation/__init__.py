"""Fault simulation: engine, watchdog and exchange in virtual time, with misfortunes that are drawn from a seed."""

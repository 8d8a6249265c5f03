"""Hosts of the appliance: their keys, their installation, and switches that revert unless somebody confirms."""

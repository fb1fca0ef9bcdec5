"""Measurements that anybody can repeat: `ponte bench`."""

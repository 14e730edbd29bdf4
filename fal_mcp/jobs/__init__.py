"""Paid work: submitted once, followed to its end."""

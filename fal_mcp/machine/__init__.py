"""What of this machine may be read or written, and what its files are."""

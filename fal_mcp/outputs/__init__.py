"""What came out of a run: its files, how they are saved, shown and shortened."""

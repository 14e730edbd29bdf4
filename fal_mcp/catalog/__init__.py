"""What fal can run, read from model documents. Pure but for the files it is handed."""

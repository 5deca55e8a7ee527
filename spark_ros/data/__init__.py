"""Episodes on disk and the samples made of them: write, read, align, encode, validate."""

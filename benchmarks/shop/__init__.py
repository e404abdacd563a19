"""The shop over HTTP and its transaction layer, against the usual design and a floor."""

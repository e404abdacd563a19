"""The same random requests to two emulators: what they answer has to be the same.

``steps`` is a request that names no time and no transaction of one emulator, ``session`` sends it
to one and takes from the answer what has to be equal, ``script`` makes requests up from a seed,
``compare`` runs them on both, and ``differences`` lists where ours is meant to differ.
"""

"""Prints what mutmut keeps about a run, as JSON: the status of each mutant, and its change.

It runs in the folder of the run, with mutmut on its path: one process instead of one `mutmut show`
for each survivor.
"""

from __future__ import annotations

import json
import sys

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

from tools.mutants.results import SURVIVED


def main() -> None:
    found = []
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            status = status_by_exit_code[exit_code]
            diff = get_diff_for_mutant(name, path=path) if status in SURVIVED else ""
            found.append([name, status, diff])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

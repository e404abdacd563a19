"""Makes docs/mutants.md from results.json and equivalent.toml."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.mutants.modules import MODULES
from tools.mutants.results import Mutant, Result, load

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/mutants.md"
EQUIVALENT = Path(__file__).parent / "equivalent.toml"

HEAD = """\
# Mutation testing

`make mutants` changes one expression of the code at a time, for example `<` to `<=`, and runs the
unit tests of the module. If a test fails, the change is *killed*. If none fails, the change
*survived*: either a test is missing, or the change is *equivalent*, because the program behaves the
same. The score is the share of killed changes, without the equivalent ones. If several changes of
the same lines survived, this page shows them in one block, each with a `+`.

`make mutants MODULES="batching sweep"` selects modules. After you added a test,
`make mutants AGAIN=1` runs only the survivors of the last run, on the same code. Each run updates
this page.

[modules.py](../tools/mutants/modules.py) names the tests of each module. A test that takes more
than five seconds fails, because a change can make it wait forever. The commit is that of the last
run.

Not changed: constants of a module, properties and other decorated functions, and type annotations.
Property tests do not run, because their random examples would make the score vary.

"""
TABLE = """\
| Module | Changes | Killed | Equivalent | Survived | Score | Commit | Date |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Equivalent:
    mutant: Mutant
    reason: str


def equivalents() -> list[Equivalent]:
    rows = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return [
        Equivalent(Mutant(row["function"], row["before"].strip(), after.strip()), row["reason"])
        for row in rows
        for after in row["after"]
    ]


def document() -> str:
    results, known = load(), equivalents()
    reasons = {each.mutant: each.reason for each in known}
    rows = [_row(each.name, results.get(each.name), reasons) for each in MODULES]
    survivors = [mutant for result in results.values() for mutant in result.survivors]
    parts = [HEAD, TABLE, *rows]
    parts += _section("Survivors", (each for each in survivors if each not in reasons), {})
    parts += _section(
        "Equivalent changes", (each for each in survivors if each in reasons), reasons
    )
    return "".join(parts)


def unused() -> list[Mutant]:
    """Entries of equivalent.toml that no run has found."""
    survivors = {mutant for result in load().values() for mutant in result.survivors}
    return [each.mutant for each in equivalents() if each.mutant not in survivors]


def _row(name: str, result: Result | None, reasons: dict[Mutant, str]) -> str:
    if result is None:
        return f"| {name} | not run yet | | | | | | |\n"
    equivalent = sum(each in reasons for each in result.survivors)
    survived = len(result.survivors) - equivalent
    total = result.killed + len(result.survivors)
    score = 100 * result.killed / (total - equivalent)
    return (
        f"| {name} | {total} | {result.killed} | {equivalent} | {survived} | {score:.1f} % |"
        f" {result.commit} | {result.date} |\n"
    )


def _section(title: str, mutants: Iterable[Mutant], reasons: dict[Mutant, str]) -> list[str]:
    """The mutants by function. Those that change the same lines share a block."""
    functions: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in mutants:
        functions[each.function][reasons.get(each, ""), each.before].append(each.after)
    parts = [f"\n## {title}\n"]
    for function, changes in functions.items():
        parts.append(f"\n`{function}`\n")
        for (reason, before), after in changes.items():
            parts.append(f"\n{reason}\n" if reason else "")
            changed = "".join(_signed("+", each) for each in after)
            parts.append(f"\n```diff\n{_signed('-', before)}{changed}```\n")
    return parts if functions else [*parts, "\nNone.\n"]


def _signed(sign: str, lines: str) -> str:
    return "".join(f"{sign} {line}\n" for line in lines.splitlines())


def main() -> None:
    PAGE.write_text(document())
    for each in unused():
        print(f"equivalent.toml: no run has found {each}")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

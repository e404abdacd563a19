"""``python -m tools.diagrams``: draws the pictures of docs/architecture.md and docs/integrate.md.

The pictures are narrow (480 units), so that a phone shows their text without zooming. They follow
the reader's light or dark colour scheme. A test compares the files with this script.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = Path(__file__).parents[1] / "docs/pictures"
WIDTH = 480

STYLE = """\
<style>
text{font:14px system-ui,sans-serif;fill:#111827;stroke:#ffffff;stroke-width:3px;
paint-order:stroke;stroke-linejoin:round}.on{stroke:none}.small{font-size:12.5px;fill:#4b5563}
.name{font-weight:600}.mid{text-anchor:middle}.end{text-anchor:end}
.back{fill:#ffffff}.box{fill:#eef3fb;stroke:#3b6fb6}.store{fill:#fdf3e2;stroke:#b57a1d}
.job{fill:#effaf1;stroke:#3f8f52}.person{fill:#f3f4f6;stroke:#6b7280}
.group{fill:none;stroke:#9ca3af;stroke-dasharray:5 4}.line{stroke:#9ca3af;stroke-dasharray:4 4}
.call,.reply{fill:none;stroke:#1f2937;stroke-width:1.5}.reply{stroke-dasharray:6 3}
.head{fill:#1f2937}.decides{fill:#fde68a;stroke:#b57a1d}.final{fill:none;stroke:#3b6fb6}
@media (prefers-color-scheme:dark){
text{fill:#f3f4f6;stroke:#0d1117}.small{fill:#c3cad5}.back{fill:#0d1117}
.box{fill:#172640;stroke:#6ea0e6}.store{fill:#33270f;stroke:#e0a94a}
.job{fill:#12301a;stroke:#6fc383}.person{fill:#21262d;stroke:#9ca3af}
.group,.line{stroke:#6b7280}.call,.reply{stroke:#d1d5db}.head{fill:#d1d5db}
.decides{fill:#5a4300;stroke:#e0a94a}.final{stroke:#6ea0e6}
}
</style>
<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" \
orient="auto"><path class="head" d="M0 0L10 5L0 10z"/></marker></defs>"""


def picture(height: int, title: str, description: str, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
            ' width="600" role="img" aria-labelledby="t d">',
            f'<title id="t">{title}</title>',
            f'<desc id="d">{description}</desc>',
            STYLE,
            f'<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(x: int, y: int, words: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{words}</text>'


def box(x: int, y: int, width: int, style: str, name: str, *lines: str) -> str:
    """A box with a name and smaller lines below it; its height follows from their number."""
    height = 36 + 18 * len(lines)
    middle = x + width // 2
    return "\n".join(
        [
            f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>',
            text(middle, y + 23, name, "name mid on"),
            *(
                text(middle, y + 41 + 18 * number, line, "small mid on")
                for number, line in enumerate(lines)
            ),
        ]
    )


def arrow(path: str, style: str = "call") -> str:
    return f'<path class="{style}" d="{path}" marker-end="url(#a)"/>'


def components() -> str:
    return picture(
        572,
        "Components",
        "A client calls order through the Knative ingress. order calls inventory. Both keep their"
        " state in Firestore. The jobs reconcile and audit read Firestore; reconcile also calls"
        " inventory.",
        [
            box(20, 14, 200, "person", "client", "shop, app, browser"),
            box(260, 14, 200, "person", "operator", "ships orders, enters stock"),
            box(20, 116, 200, "person", "Knative ingress", "routes, wakes pods"),
            arrow("M120 68V112"),
            text(128, 95, "HTTPS", "small"),
            arrow("M360 68V143H224"),
            text(368, 108, "fulfil, return", "small"),
            '<rect class="group" x="8" y="194" width="464" height="262" rx="8"/>',
            text(464, 212, "namespace shop", "small end"),
            box(20, 224, 200, "box", "order", "public, 0 to 10 pods"),
            arrow("M120 170V220"),
            box(70, 374, 150, "box", "inventory", "cluster-local,", "0 or 1 pod"),
            arrow("M130 278V370"),
            text(138, 298, "reserve, release,", "small"),
            text(138, 315, "consume", "small"),
            box(270, 224, 190, "job", "reconcile", "every 10 minutes"),
            arrow("M315 278V362H200V370"),
            text(307, 334, "reserve, confirm,", "small end"),
            text(307, 351, "release, consume", "small end"),
            box(350, 374, 110, "job", "audit", "on demand"),
            box(
                20, 492, 440, "store", "Firestore", "orders · products · adjustments · reservations"
            ),
            arrow("M40 278V488"),
            arrow("M145 446V488"),
            arrow("M335 278V488"),
            arrow("M405 428V488"),
            text(412, 478, "reads", "small"),
        ],
    )


def sequence() -> str:
    client, order, inventory, firestore = 52, 172, 304, 424
    names = {client: "client", order: "order", inventory: "inventory", firestore: "Firestore"}
    styles = {client: "person", firestore: "store"}
    return picture(
        590,
        "One order, message by message",
        "The client posts an order. order asks inventory for a reservation. inventory reads the"
        " products and commits the reservation. Then order creates the order document, which"
        " decides, and responds with 201.",
        [
            *(box(x - 46, 12, 92, styles.get(x, "box"), name) for x, name in names.items()),
            f'<path class="line" d="{"".join(f"M{x} 48V576" for x in names)}"/>',
            text(client + 8, 78, "1 POST /orders"),
            arrow(f"M{client} 86H{order - 4}"),
            text(client + 8, 106, "order id from customer and key", "small"),
            text(order + 8, 138, "2 Reserve, by name"),
            arrow(f"M{order} 146H{inventory - 4}"),
            text(order + 8, 166, "queued requests go together", "small"),
            text(firestore - 8, 198, "3 read products", "end"),
            arrow(f"M{inventory} 206H{firestore - 4}"),
            text(firestore - 8, 226, "not the new reservation", "small end"),
            text(firestore - 8, 258, "4 commit", "end"),
            arrow(f"M{inventory} 266H{firestore - 4}"),
            text(firestore - 8, 286, "stock and reservation, only if no", "small end"),
            text(firestore - 8, 303, "other write came first", "small end"),
            text(inventory - 8, 336, "5 prices, names", "end"),
            arrow(f"M{inventory} 344H{order + 4}", "reply"),
            text(order + 8, 364, "compare with expected_total", "small"),
            '<rect class="decides" x="178" y="385" width="240" height="24" rx="4"/>',
            text((order + firestore) // 2, 402, "6 Decide: create the order", "mid on"),
            arrow(f"M{order} 418H{firestore - 4}"),
            text(order + 8, 438, "exists already? Replay that decision", "small"),
            text(client + 8, 470, "7 201, the order"),
            arrow(f"M{order} 478H{client + 4}", "reply"),
            text(order + 8, 520, "later: reconcile marks the reservation"),
            text(order + 8, 540, "confirmed; the stock does not change", "small"),
        ],
    )


def states() -> str:
    final = 'class="final" rx="9"'
    return picture(
        596,
        "The status of an order",
        "POST /orders, or the later decision on a pending order, leads to awaiting_payment,"
        " confirmed or rejected. awaiting_payment leads to confirmed or cancelling. pending,"
        " confirmed and partially_fulfilled lead to cancelling; the latter two also to fulfilling"
        " and changing. changing leads to confirmed, partially_fulfilled, fulfilled or cancelled."
        " fulfilling leads to fulfilled; cancelling leads to cancelled, or to fulfilled if units"
        " were shipped. A return leads from fulfilled to changing.",
        [
            box(205, 14, 120, "person", "POST /orders"),
            box(26, 14, 120, "box", "pending"),
            arrow("M205 32H150"),
            text(164, 26, "202", "small"),
            '<path class="call" d="M265 50V92M86 50V92M86 92H407"/>',
            text(94, 74, "decided later", "small"),
            arrow("M86 92V130"),
            text(94, 114, "with a hold", "small"),
            arrow("M265 92V130"),
            text(273, 114, "201", "small"),
            arrow("M407 92V130"),
            text(415, 114, "409", "small"),
            box(14, 134, 150, "box", "awaiting_payment"),
            box(222, 134, 104, "box", "confirmed"),
            box(350, 134, 114, "box", "rejected"),
            f'<rect {final} x="347" y="131" width="120" height="42"/>',
            arrow("M164 148H218"),
            text(190, 141, "confirm", "small mid"),
            # Parts of an order.
            box(350, 222, 114, "box", "changing"),
            arrow("M308 170V232H346"),
            arrow("M350 246H290V174"),
            text(316, 200, "a part", "small"),
            box(206, 304, 146, "box", "partially_fulfilled"),
            arrow("M352 314H384V262"),
            arrow("M404 258V330H356"),
            # Everything that is left.
            '<path class="call" d="M222 160H190V376M206 322H190M108 376H265"/>',
            arrow("M108 376V408"),
            text(116, 396, "cancel", "small"),
            arrow("M265 376V408"),
            text(273, 396, "fulfil", "small"),
            arrow("M50 170V408"),
            text(58, 272, "cancel,", "small"),
            text(58, 289, "or expired", "small"),
            arrow("M26 32H6V430H12"),
            box(16, 412, 120, "box", "cancelling"),
            box(210, 412, 110, "box", "fulfilling"),
            arrow("M76 448V518"),
            text(84, 478, "nothing", "small"),
            text(84, 495, "shipped", "small"),
            arrow("M136 430H166V540H203"),
            text(174, 478, "something", "small"),
            text(174, 495, "shipped", "small"),
            arrow("M290 448V518"),
            box(16, 522, 120, "box", "cancelled"),
            f'<rect {final} x="13" y="519" width="126" height="42"/>',
            box(210, 522, 110, "box", "fulfilled"),
            f'<rect {final} x="207" y="519" width="116" height="42"/>',
            arrow("M323 532H424V262"),
            text(416, 470, "return", "small end"),
            arrow("M444 258V548H327"),
            arrow("M464 240H472V578H76V565"),
            text(340, 28, "A double border", "small"),
            text(340, 45, "marks a final status.", "small"),
        ],
    )


def pictures() -> Iterator[tuple[str, str]]:
    """File name and content of each picture."""
    yield "components.svg", components()
    yield "order-sequence.svg", sequence()
    yield "order-states.svg", states()


def main() -> None:
    for name, content in pictures():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()

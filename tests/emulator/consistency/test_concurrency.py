import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import Conflict, FailedPrecondition
from google.cloud.firestore import Client, Increment

WRITERS = 8


def test_one_of_concurrent_commits_on_one_version_succeeds(client: Client) -> None:
    document = client.document("c/d")
    for _ in range(10):
        version = document.set({"winner": None, "round": Increment(1)}).update_time
        together = threading.Barrier(WRITERS)

        def attempt(writer: int) -> bool:
            option = client.write_option(last_update_time=version)  # noqa: B023
            together.wait()  # noqa: B023
            try:
                document.update({"winner": writer}, option)
            except FailedPrecondition:
                return False
            return True

        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(attempt, range(WRITERS)))
        assert won.count(True) == 1
        assert document.get().get("winner") == won.index(True)


def test_one_of_concurrent_creates_succeeds(client: Client) -> None:
    together = threading.Barrier(WRITERS)

    def attempt(writer: int) -> bool:
        together.wait()
        try:
            client.document("c/d").create({"winner": writer})
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(attempt, range(WRITERS)))
    assert won.count(True) == 1


def test_concurrent_increments_are_all_applied(client: Client) -> None:
    document = client.document("c/d")
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda _: document.set({"n": Increment(1)}, merge=True), range(80)))
    assert document.get().to_dict() == {"n": 80}


@pytest.mark.parametrize("read", ["get_all", "query"])
def test_reads_are_snapshots_while_commits_run(client: Client, read: str, which: str) -> None:
    """Writers move units between documents. Every reader must find the same sum."""
    if which == "official":
        pytest.skip("the service reads one snapshot, the official emulator some of each")
    documents = [client.document(f"c/{i}") for i in range(4)]
    for document in documents:
        document.set({"units": 100})
    stop = threading.Event()

    def move() -> None:
        amount = 1
        while not stop.is_set():
            batch = client.batch()
            for index, document in enumerate(documents):
                batch.update(document, {"units": Increment(amount if index % 2 else -amount)})
            batch.commit()
            amount = amount % 7 + 1

    def units() -> int:
        found = client.get_all(documents) if read == "get_all" else client.collection("c").stream()
        return sum(snapshot.get("units") for snapshot in found)

    with ThreadPoolExecutor(2) as pool:
        movers = [pool.submit(move) for _ in range(2)]
        try:
            sums = {units() for _ in range(60)}
        finally:
            stop.set()
        for mover in movers:
            mover.result()
    assert sums == {400}
    assert documents[1].get().get("units") != 100

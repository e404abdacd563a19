"""Run the same tests on the embedded emulator and, if it is installed, on the official one."""

import uuid
from collections.abc import Iterator

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from support.emulator.instances import in_environment, running


@pytest.fixture(scope="session")
def emulator_without_index_checks(which: str) -> Iterator[str]:
    with running(which) as address:
        yield address


@pytest.fixture(scope="module")
def emulator(emulator_without_index_checks: str) -> Iterator[str]:
    """An emulator that requires no indexes. Tests elsewhere use one that requires them."""
    with in_environment(emulator_without_index_checks) as address:
        yield address


@pytest.fixture
def project() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(emulator: str, project: str) -> Iterator[firestore.Client]:  # noqa: ARG001
    made = firestore.Client(project=project, credentials=AnonymousCredentials())
    yield made
    made.close()


@pytest.fixture
def channel(emulator: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(emulator) as opened:
        yield opened


@pytest.fixture
def gapic(channel: grpc.Channel) -> FirestoreClient:
    """The generated client, for requests that the hand-written client does not make."""
    return FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))


@pytest.fixture
def database(project: str) -> str:
    return f"projects/{project}/databases/(default)"

"""Find Google's own emulator: a jar of the Google Cloud SDK or of firebase-tools, and java."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SDK_ROOTS = (Path("/usr/lib/google-cloud-sdk"), Path("/opt/google-cloud-sdk"))

ANNOUNCEMENT = re.compile(
    r"^API endpoint: http://(\S+)$.*^Dev App Server is now running", re.MULTILINE | re.DOTALL
)

_SDK_JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_SDK_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_FIREBASE_JARS = "cloud-firestore-emulator-v*.jar"


@dataclass(frozen=True, slots=True)
class Official:
    run: tuple[str, ...]  # java and the jar; the address options follow

    def argv(self, host: str, port: int) -> list[str]:
        return [*self.run, f"--host={host}", f"--port={port}"]


class OfficialNotFoundError(Exception):
    def __init__(self, searched: Sequence[str]) -> None:
        super().__init__(
            "The official Firestore emulator was not found. Searched for: "
            + "; ".join(searched)
            + ". To install it, use the Debian package google-cloud-cli-firestore-emulator, or"
            " `gcloud components install cloud-firestore-emulator`, or `firebase"
            " setup:emulators:firestore`. It also needs a Java runtime."
        )


def find(environ: Mapping[str, str], sdk_roots: Sequence[Path]) -> Official:
    java = _java(environ)
    sdk_jars = [root / _SDK_JAR for root in (*_own_roots(environ), *sdk_roots)]
    sdk_jar = next((jar for jar in sdk_jars if jar.is_file()), None)
    firebase = _firebase_directory(environ)
    firebase_jar = max(firebase.glob(_FIREBASE_JARS), key=_version, default=None)
    if java and sdk_jar:  # the manifest of this jar has no main class
        return Official((java, "-cp", str(sdk_jar), _SDK_MAIN, "start"))
    if java and firebase_jar:
        return Official((java, "-jar", str(firebase_jar)))
    missing_java = [] if java else ["java on PATH or under JAVA_HOME"]
    raise OfficialNotFoundError(
        [*missing_java, *map(str, dict.fromkeys(sdk_jars)), str(firebase / _FIREBASE_JARS)]
    )


def _java(environ: Mapping[str, str]) -> str | None:
    home = environ.get("JAVA_HOME")
    of_home = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    return of_home or shutil.which("java", path=environ.get("PATH", ""))


def _own_roots(environ: Mapping[str, str]) -> Iterator[Path]:
    gcloud = shutil.which("gcloud", path=environ.get("PATH", ""))
    if gcloud:
        yield Path(gcloud).resolve().parent.parent
    yield _home(environ) / "google-cloud-sdk"


def _firebase_directory(environ: Mapping[str, str]) -> Path:
    configured = environ.get("FIREBASE_EMULATORS_PATH")
    return Path(configured) if configured else _home(environ) / ".cache/firebase/emulators"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/")


def _version(jar: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", jar.stem)]

"""`make screenshots` renews docs/ only from a run that is worth showing."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo import screenshots
from demo.recording import Platform, Recording
from demo.report import report
from support.recordings import on_knative

PICTURES = ("demo-desk-light.png", "page-desk-light.png")


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in PICTURES:
        (folder / name).touch()
    monkeypatch.setattr(screenshots, "DOCS", folder)
    return folder


def written(recording: Recording, folder: Path) -> Path:
    report.write(recording, folder)
    return folder / "report.html"


@pytest.mark.usefixtures("docs")
def test_docs_get_the_pictures_of_a_complete_run_on_knative(tmp_path: Path) -> None:
    assert screenshots.of_docs(written(on_knative(), tmp_path)) == list(PICTURES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"where": Platform.PROCESSES}, "on processes of one machine"),
        ({"ended_early": "ended by hand"}, "Incomplete (ended by hand)"),
        ({"checks": None}, "not counted again"),
        ({"opening": 2}, "1 oversold"),
    ],
)
@pytest.mark.usefixtures("docs")
def test_docs_keep_the_pictures_when_the_run_is_no_example(
    change: dict[str, object],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = on_knative()
    for name, value in change.items():
        setattr(recording, name, value)
    assert screenshots.of_docs(written(recording, tmp_path)) == ["page-desk-light.png"]
    assert reason in capsys.readouterr().out


@pytest.mark.usefixtures("docs")
def test_docs_keep_the_pictures_when_the_machine_was_too_slow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = on_knative()
    recording.answers[0].sent += 2
    assert screenshots.of_docs(written(recording, tmp_path)) == ["page-desk-light.png"]
    assert "could not serve the load" in capsys.readouterr().out


@pytest.mark.usefixtures("docs")
def test_pages_are_renewed_without_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert screenshots.of_docs(None) == ["page-desk-light.png"]
    assert "there is no report" in capsys.readouterr().out

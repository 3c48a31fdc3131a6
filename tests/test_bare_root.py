"""What the bed for a bare machine does and leaves alone; real roots are made where CI has root and
debootstrap.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.beds import bare_root

pytestmark = pytest.mark.once


def test_a_folder_that_is_no_root_of_the_bed_is_neither_used_nor_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("the only copy")
    assert bare_root.main(["down", str(mine)]) == 3
    assert bare_root.main(["run", str(mine), "--", "rm", "-rf", "/"]) == 3
    assert "is no root of this bed" in capsys.readouterr().err
    if bare_root.cannot_run() is None:
        assert bare_root.main(["up", "trixie", str(mine)]) == 3
        assert "name another folder" in capsys.readouterr().err
    assert (mine / "thesis.txt").read_text() == "the only copy"


def test_what_is_not_there_is_down(tmp_path: Path) -> None:
    assert bare_root.main(["down", str(tmp_path / "none")]) == 0


def test_what_a_machine_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bare_root.cannot_run()
    assert bare_root.main(["up", "trixie", str(tmp_path / "root")]) == 3
    assert not (tmp_path / "root").exists()

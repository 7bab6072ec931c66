"""The README as a script: its commands, its shown output, and a way to run them elsewhere."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = {"evaluator": "evaluator", "dagster": "dagster", "dg": "dagster_dg_cli.cli"}


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands() -> list[str]:
    """Every command, comments left out."""
    lines = (line for block in blocks("sh") for line in block.splitlines())
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line.strip()]


@dataclass(frozen=True)
class Clone:
    """The repository as a user has it, with its environment, data and instance elsewhere."""

    folder: Path
    archive: Path

    @property
    def venv(self) -> Path:
        """An environment whose programs are those of the running interpreter."""
        return self.folder / "venv"

    def make(self) -> "Clone":
        """Write the programs, and the settings of the instance."""
        programs = self.venv / "bin"
        programs.mkdir(parents=True)
        for name, module in MODULES.items():
            self._program(programs / name, f'-c "from {module} import main; main()"')
        self._program(programs / "evaluator", "-m evaluator")
        self._program(programs / "dagster", "-m dagster")
        self._program(programs / "python", "")
        (self.folder / "dagster_home").mkdir()
        settings = (ROOT / "dagster_home" / "dagster.yaml").read_text(encoding="utf-8")
        (self.folder / "dagster_home" / "dagster.yaml").write_text(settings, encoding="utf-8")
        return self

    def command(self, line: str) -> str:
        """The command with the places of this clone."""
        setting = f"-o setup VENV={self.venv} DAGSTER_HOME={self.folder / 'dagster_home'}"
        line = re.sub(r"^make ", f"make --no-print-directory {setting} ", line)
        line = line.replace("$PWD/dagster_home", str(self.folder / "dagster_home"))
        line = line.replace(".venv/bin/", f"{self.venv}/bin/")
        line = re.sub(r"\bDIR\b", shlex.quote(str(self.archive)), line)
        today = datetime.now(UTC).date()
        line = re.sub(r"\bFIRST\b", (today - timedelta(days=1)).isoformat(), line)
        line = re.sub(r"\bLAST\b", today.isoformat(), line)
        return re.sub(r"\bDAY\b", "2026-06-30", line)

    @property
    def variables(self) -> dict[str, str]:
        """The environment: nothing of the caller's settings."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("EVALUATOR")}
        kept.pop("DAGSTER_HOME", None)
        return kept | {"EVALUATOR_HOME": str(self.folder / "data"), "PYTHONPATH": str(ROOT)}

    def run(self, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in the repository."""
        return subprocess.run(
            ["bash", "-c", self.command(line)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=self.variables | variables,
        )

    def start(self, line: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a command that goes on until it is stopped; its output goes to `log`."""
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                ["bash", "-c", f"exec {self.command(line)}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.variables | variables,
                start_new_session=True,
            )

    @staticmethod
    def _program(path: Path, arguments: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n', encoding="utf-8")
        path.chmod(0o755)

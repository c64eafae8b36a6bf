"""What README, CONTRIBUTING and docs/ tell a reader to type or to open is there and works."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bipointnet_ros.ros import launching

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text()


def commands(text: str) -> list[str]:
    """The lines of all code blocks, without comments."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.M | re.S)
    lines = (line.split("#")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def test_one_apt_line_names_what_make_asks_for():
    (line,) = re.findall(r"^sudo apt install (.*)$", README, re.M)
    asked = set(re.findall(r'missing="\$missing ([^"]*)"', (ROOT / "make/setup").read_text()))
    assert set(line.split()) == {"make", *" ".join(asked).split()}
    assert line in (ROOT / ".ci/run").read_text()


def test_words_of_make_exist():
    words = {command.split()[1] for page in PAGES for command in commands(page.read_text()) if command[:5] == "make "}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= words <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name} links to {link}"


def test_files_that_are_named_exist():
    folders = ("", "bipointnet_ros", "bipointnet_ros/core", "bipointnet_ros/native", "bipointnet_ros/ros", "test")
    named = set()
    for page in PAGES[:2]:
        named |= set(re.findall(r"`([\w./]+(?:\.\w+|/))`", page.read_text()))
    named = {name for name in named if not re.fullmatch(r"\.\w+|x|labelled", name)}
    assert len(named) > 15
    for name in named:
        assert any((ROOT / folder / name).exists() for folder in folders), f"{name} is not there"


def test_modules_and_scripts_that_are_run_exist():
    for page in PAGES:
        for command in commands(page.read_text()):
            module = re.match(r"(?:\S+/)?python3? -m (bipointnet_ros\S*)", command)
            script = re.match(r"(?:\S+/)?python3? (\S+\.py)", command)
            assert not module or importlib.util.find_spec(module[1]), f"{page.name}: {command}"
            assert not script or (ROOT / script[1]).is_file(), f"{page.name}: {command}"


def test_launch_arguments_exist():
    (line,) = (command for command in commands(README) if command.startswith("ros2 launch"))
    _, _, package, file, *arguments = line.split()
    assert package == launching.PACKAGE and (ROOT / "launch" / file).is_file()
    for argument in arguments:
        assert argument.partition(":=")[0] in launching.ARGUMENTS


def test_the_topics_of_the_node_are_the_documented_ones():
    said = set(re.findall(r"^\| `(~/\w+)`", (ROOT / "docs/ros.md").read_text(), re.M))
    published = set(re.findall(r'"(~/\w+)"', (ROOT / "bipointnet_ros/ros/outputs.py").read_text()))
    assert said == published and len(said) > 3


FILE_COMMANDS = [line for line in commands(README) if line.startswith(".venv/bin/bipointnet")]


@pytest.mark.parametrize("line", FILE_COMMANDS)
def test_commands_on_files_run(tmp_path, line):
    words = [word if word != "labelled" else str(tmp_path / word) for word in shlex.split(line)[1:]]
    command = [sys.executable, "-m", "bipointnet_ros.cli", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert len(FILE_COMMANDS) == 3 and done.stdout


def test_the_picture_is_one():
    (path,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

"""Skills: the open format, its rules, hashes that stand for content, snapshots that an edit does not reach."""

import json
import os
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.reasoning.outside import DOCTRINE, PROJECT
from tests.reasoning.shelves import SKILL, put
from trading_assets.briefs.roles import NewsInputs, Opinion
from trading_assets.core.errors import ConfigurationError
from trading_assets.reasoning.skill_files import FILE_BYTES_MAX, FILES_MAX
from trading_assets.reasoning.skills import BYTES_MAX, LINES_MAX, VENDORS, SkillShelf, UnknownSkill, read_skill

TYPES: Mapping[str, type[BaseModel]] = {"Opinion": Opinion, "NewsInputs": NewsInputs}


def changed(old: str, new: str) -> str:
    assert old in SKILL
    return SKILL.replace(old, new, 1)


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_skill(folder, TYPES)
    return str(refused.value)


def test_a_skill_is_read_as_it_is_written(tmp_path: Path) -> None:
    skill = read_skill(put(tmp_path), TYPES)
    assert (skill.name, skill.description) == ("tide-watcher", "Watches the tide of prices.")
    assert (skill.version, skill.agent, skill.tier) == ("1", "tide", "cheap")
    assert skill.max_cost_usd == Decimal("0.02")
    assert (skill.input_schema, skill.output_schema) == ("NewsInputs", "Opinion")
    assert skill.body.startswith("## Persona\n\nYou watch the tide.")
    assert skill.section("Persona").strip() == "You watch the tide."
    assert len(skill.hash) == 64


def test_an_agent_is_added_by_adding_a_folder(tmp_path: Path) -> None:
    put(tmp_path)
    shelf = SkillShelf(tmp_path, schemas=TYPES)
    assert list(shelf.take()) == ["tide-watcher"]
    put(tmp_path, SKILL.replace("tide-watcher", "moon-watcher"), "moon-watcher")
    assert list(shelf.take()) == ["moon-watcher", "tide-watcher"]
    assert shelf.take()["moon-watcher"].output_schema == "Opinion"


def test_keys_that_may_be_left_out_may_be_left_out(tmp_path: Path) -> None:
    bare = (
        changed("license: MIT\n", "")
        .replace('  max-cost-usd: "0.02"\n', "")
        .replace("  input-schema: NewsInputs\n", "")
    )
    skill = read_skill(put(tmp_path, bare), TYPES)
    assert skill.max_cost_usd is None
    assert skill.input_schema == ""


@pytest.mark.parametrize("key", ["name", "description", "version", "agent", "model-tier", "output-schema"])
def test_a_key_that_must_be_there_is_missed_by_name(key: str, tmp_path: Path) -> None:
    lines = [line for line in SKILL.split("\n") if not line.strip().startswith(f"{key}:")]
    assert key in refusal(put(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("license: MIT", "licence: MIT", "line 4"),
        ("model-tier: cheap", "model-tier: best", "line 8"),
        ('version: "1"', "version: 1.0", "line 6"),
        ("license: MIT", "license: 'MIT", "line 4"),
        ("You watch the tide.", "You watch\u200b the tide.", "line 15"),
        ("agent: tide", "agent: *t", "line 7"),
    ],
)
def test_a_refusal_names_the_line(old: str, new: str, line: str, tmp_path: Path) -> None:
    said = refusal(put(tmp_path, changed(old, new)))
    assert f"tide-watcher/SKILL.md, {line}:" in said or (line == "line 4" and "is not YAML" in said)


@pytest.mark.parametrize(
    "name", [*(f"my-{vendor}-skill" for vendor in VENDORS), "a--b", "-a", "a-", "a_b", "A", "\u00e9", "a" * 65]
)
def test_names_follow_the_rules(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path, SKILL.replace("name: tide-watcher", f"name: {name}"), name)
    assert "name" in refusal(folder)


def test_front_matter_of_many_aliases_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    assert "anchors" in refusal(put(tmp_path, changed("license: MIT\n", laughs)))


@pytest.mark.parametrize("more", ["word\n" * LINES_MAX, "w" * BYTES_MAX])
def test_a_skill_that_is_too_long_is_refused(more: str, tmp_path: Path) -> None:
    assert "too long" in refusal(put(tmp_path, changed("You watch the tide.", more)))


def test_a_heading_in_code_is_no_section(tmp_path: Path) -> None:
    code = "You watch.\n\n```\n## Inputs\n```\n\n~~~\n## Output schema\n~~~"
    assert (
        read_skill(put(tmp_path, changed("You watch the tide.", code)), TYPES).section("Inputs").strip() == "Numbers."
    )


def test_other_sections_may_stand_between(tmp_path: Path) -> None:
    text = changed("## Inputs\n", "## Limits\n\nNone of yours.\n\n## Inputs\n")
    assert read_skill(put(tmp_path, text), TYPES).section("Limits").strip() == "None of yours."


def test_an_inputs_table_that_drifted_is_refused(tmp_path: Path) -> None:
    table = "| field | type | bounds |\n| --- | --- | --- |\n| `symbol` | number | |"
    assert "## Inputs does not agree with NewsInputs" in refusal(put(tmp_path, changed("Numbers.", table)))


def test_a_json_schema_may_stand_in_place_of_the_table(tmp_path: Path) -> None:
    head = SKILL[: SKILL.index("| field")]
    schema = Opinion.model_json_schema()
    assert read_skill(put(tmp_path, f"{head}```json\n{json.dumps(schema, indent=1)}\n```\n"), TYPES).output_schema
    schema["properties"]["signal"]["maximum"] = 2
    assert "JSON schema is not that of Opinion" in refusal(put(tmp_path, f"{head}```json\n{json.dumps(schema)}\n```\n"))


def test_the_hash_stands_for_the_content_of_all_files(tmp_path: Path) -> None:
    folder = put(tmp_path)
    hashes = {read_skill(folder, TYPES).hash}
    (folder / "samples").mkdir()
    (folder / "samples" / "a.json").write_text("{}")
    hashes.add(read_skill(folder, TYPES).hash)
    (folder / "samples" / "a.json").rename(folder / "samples" / "b.json")
    hashes.add(read_skill(folder, TYPES).hash)
    put(tmp_path, changed("the tide", "the tides"))
    hashes.add(read_skill(folder, TYPES).hash)
    assert len(hashes) == 4


def test_line_ends_letter_forms_and_hidden_files_do_not_change_the_hash(tmp_path: Path) -> None:
    text = changed("You watch the tide.", "You watch the tide at caf\u00e9s.")
    one = read_skill(put(tmp_path / "a", text), TYPES)
    windows = read_skill(put(tmp_path / "b", text.replace("\n", "\r\n")), TYPES)
    apart = put(tmp_path / "c", unicodedata.normalize("NFD", text))
    (apart / ".SKILL.md.swp").write_bytes(b"\xff\x00")
    assert one.hash == windows.hash == read_skill(apart, TYPES).hash
    assert one.body == windows.body


def test_the_full_hash_also_covers_the_type_of_the_answer(tmp_path: Path) -> None:
    skill = read_skill(put(tmp_path), TYPES)
    assert skill.full_hash(Opinion) == skill.full_hash(Opinion)
    assert skill.full_hash(Opinion) != skill.full_hash(NewsInputs)


def test_an_unchanged_shelf_gives_the_same_snapshot_and_a_touched_file_too(tmp_path: Path) -> None:
    folder = put(tmp_path)
    shelf = SkillShelf(tmp_path, schemas=TYPES)
    first = shelf.take()
    assert shelf.take() is first
    os.utime(folder / "SKILL.md", ns=(1, 1))
    assert shelf.take() is first


@pytest.mark.fault(100)
def test_an_edit_reaches_the_next_snapshot_and_not_the_one_in_use(tmp_path: Path) -> None:
    put(tmp_path)
    shelf = SkillShelf(tmp_path, schemas=TYPES)
    before = shelf.take()
    put(tmp_path, changed("You watch the tide.", "You watch the moon."))
    after = shelf.take()
    assert "moon" in after["tide-watcher"].body
    assert "tide." in before["tide-watcher"].body
    assert before["tide-watcher"].hash != after["tide-watcher"].hash
    assert before.hash != after.hash


@pytest.mark.fault(100)
def test_a_broken_edit_is_refused_and_a_mended_one_is_taken(tmp_path: Path) -> None:
    put(tmp_path)
    shelf = SkillShelf(tmp_path, schemas=TYPES)
    held = shelf.take()
    put(tmp_path, "half a fi")
    with pytest.raises(ConfigurationError, match="tide-watcher/SKILL.md"):
        shelf.take()
    assert held["tide-watcher"].body
    put(tmp_path)
    assert shelf.take() is held


@pytest.mark.fault(100)
def test_a_reader_never_sees_half_of_a_replaced_file(tmp_path: Path) -> None:
    """A writer renames whole files into place while several threads take snapshots: each is one of the two texts."""
    put(tmp_path)
    texts = {read_skill(put(tmp_path, text), TYPES).hash: text for text in (SKILL, changed("the tide.", "the moon."))}
    shelf, seen, stop = SkillShelf(tmp_path, schemas=TYPES), set(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            for text in texts.values():
                new = tmp_path / "tide-watcher" / ".new"
                new.write_text(text)
                new.replace(tmp_path / "tide-watcher" / "SKILL.md")
                stop.wait(0.002)

    def read() -> None:
        for _ in range(150):
            try:
                skill = shelf.take()["tide-watcher"]
            except ConfigurationError as unsettled:
                assert "change while they are read" in str(unsettled)  # noqa: PT017 - the other outcome is asserted below
                continue
            seen.add((skill.hash, skill.body))

    writer, readers = threading.Thread(target=write), [threading.Thread(target=read) for _ in range(3)]
    for thread in (writer, *readers):
        thread.start()
    for thread in readers:
        thread.join()
    stop.set()
    writer.join()
    assert {hash_ for hash_, _ in seen} <= texts.keys()
    assert all(body in texts[hash_] for hash_, body in seen)
    assert len(seen) == 2


class Meddling(dict[str, type[BaseModel]]):
    """Types whose every look-up, in the middle of a reading, is a moment at which somebody saves the file."""

    def __init__(self, shelf: Path, times: int) -> None:
        super().__init__(TYPES)
        self.shelf, self.times, self.saved = shelf, times, 0

    def __getitem__(self, name: str) -> type[BaseModel]:
        if self.saved < self.times:
            self.saved += 1
            put(self.shelf, changed("You watch the tide.", f"You watch tide {self.saved}."))
        return super().__getitem__(name)


@pytest.mark.fault(100)
def test_a_file_saved_while_the_shelf_is_read_is_read_again(tmp_path: Path) -> None:
    put(tmp_path)
    assert "tide 1." in SkillShelf(tmp_path, schemas=Meddling(tmp_path, 1)).take()["tide-watcher"].body


@pytest.mark.fault(100)
def test_a_shelf_that_never_comes_to_rest_is_refused(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(ConfigurationError, match="change while they are read"):
        SkillShelf(tmp_path, schemas=Meddling(tmp_path, 1_000)).take()


def test_a_snapshot_cannot_be_changed(tmp_path: Path) -> None:
    put(tmp_path)
    skills = SkillShelf(tmp_path).take()
    with pytest.raises(FrozenInstanceError):
        skills["tide-watcher"].tier = "strong"  # type: ignore[misc]
    with pytest.raises(TypeError):
        skills.skills["other"] = skills["tide-watcher"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        skills.doctrine = ""  # type: ignore[misc]


def test_a_name_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    put(tmp_path)
    skills = SkillShelf(tmp_path).take()
    assert "other" not in skills
    assert skills.get("other") is None
    with pytest.raises(UnknownSkill) as refused:
        skills["other"]
    assert (
        str(refused.value)
        == "there is no such skill | value: other | bound: tide-watcher | next: desk skills lists them"
    )


def test_links_are_refused_at_every_place(tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "tide-watcher").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="is a link"):
        SkillShelf(shelf).take()
    (shelf / "tide-watcher").unlink()
    (shelf / "tide-watcher").mkdir()
    (shelf / "tide-watcher" / "SKILL.md").symlink_to(elsewhere / "SKILL.md")
    assert "is a link" in refusal(shelf / "tide-watcher")
    (shelf / "tide-watcher" / "SKILL.md").unlink()
    put(shelf)
    (shelf / "tide-watcher" / "more").symlink_to(tmp_path)
    assert "is a link" in refusal(shelf / "tide-watcher")


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path)
    os.mkfifo(folder / "pipe")
    assert "not a regular file" in refusal(folder)
    (folder / "pipe").unlink()
    (folder / "image.png").write_bytes(b"\x89PNG")
    assert "not UTF-8" in refusal(folder)
    (folder / "image.png").write_text("x" * (FILE_BYTES_MAX + 1))
    assert "too large" in refusal(folder)
    (folder / "image.png").unlink()
    (folder / "a b.md").write_text("")
    assert "file names" in refusal(folder)
    (folder / "a b.md").unlink()
    for at in range(FILES_MAX):
        (folder / f"f{at}.md").write_text("")
    assert "at most 64 files" in refusal(folder)


def test_a_folder_without_a_skill_and_a_missing_shelf_are_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no skill, and none of our business")
    (tmp_path / ".git").mkdir()
    assert len(SkillShelf(tmp_path).take()) == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"there is no SKILL\.md"):
        SkillShelf(tmp_path).take()
    with pytest.raises(ConfigurationError, match="missing"):
        SkillShelf(tmp_path / "nowhere").take()


@pytest.mark.parametrize("text", ["", "  \n", "bu\u200by", "see https://a.example", "w" * (BYTES_MAX + 1), "<b>x</b>"])
def test_the_doctrine_keeps_the_same_rules(text: str, tmp_path: Path) -> None:
    put(tmp_path / "skills")
    (tmp_path / "doctrine.md").write_text(text)
    with pytest.raises(ConfigurationError, match=r"doctrine\.md"):
        SkillShelf(tmp_path / "skills", tmp_path / "doctrine.md").take()


def test_an_edit_of_the_doctrine_makes_a_new_snapshot(tmp_path: Path) -> None:
    put(tmp_path / "skills")
    (tmp_path / "doctrine.md").write_text("Facts first.\n")
    shelf = SkillShelf(tmp_path / "skills", tmp_path / "doctrine.md")
    before = shelf.take()
    (tmp_path / "doctrine.md").write_text("Facts first, then words.\n")
    assert (before.doctrine, shelf.take().doctrine) == ("Facts first.", "Facts first, then words.")
    (tmp_path / "doctrine.md").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        shelf.take()


def test_the_committed_skills_load_with_their_doctrine() -> None:
    skills = SkillShelf(PROJECT / "skills", PROJECT / "context" / "philosophy.md").take()
    assert {"breadth-analyst", "news-analyst", "recall-probe", "technical-analyst"} <= skills.keys()
    assert list(skills) == sorted(skills)
    assert skills.doctrine == DOCTRINE
    assert len({skill.hash for skill in skills.values()}) == len(skills)
    assert all(skill.max_cost_usd is not None and skill.max_cost_usd <= Decimal("0.05") for skill in skills.values())

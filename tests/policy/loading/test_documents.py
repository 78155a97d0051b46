"""Documents: what files hold, and on which line."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.policy.loading import documents
from handlebar.policy.loading.documents import DocumentError, of_python, path_text
from handlebar.policy.loading.file_formats import MAX_BYTES, read_file

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
)


def written(folder, name, content):
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(json_values)
def test_python_values_are_kept(value):
    """A document of plain values holds equal values."""
    assert value == of_python("here", value).value


@given(json_values, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_the_standard_library_reads_it(tmp_path_factory, value, indent):
    """A JSON file means what the standard library says that it means."""
    path = written(tmp_path_factory.getbasetemp(), "any.json", json.dumps(value, indent=indent))
    assert value == read_file(path).value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", "one: 1\ntwo:\n  - x\n  -\n    three: 3\n"),
        ("a.json", '{"one": 1,\n"two":\n  ["x",\n \n    {"three": 3}]}\n'),
    ],
)
def test_every_value_knows_its_line(tmp_path, name, content):
    """Keys and list entries stand on the lines where people see them."""
    lines = read_file(written(tmp_path, name, content)).lines
    assert {(): 1, ("one",): 1, ("two",): 2, ("two", 0): 3} == {
        steps: line for steps, line in lines.items() if steps[:2] != ("two", 1)
    }
    assert 5 == lines["two", 1, "three"]


def test_where_falls_back_on_the_values_around():
    """A value without a line of its own is looked for on the line of what holds it."""
    document = documents.Document("a.yaml", {}, {(): 1, ("rules",): 7})
    assert "a.yaml:7" == document.where(("rules", 0, "name"))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), "document"),
        (("rules", 0, "condition", "op"), "rules[0].condition.op"),
        ((0, "name"), "[0].name"),
        (("a b", "c"), "['a b'].c"),
    ],
)
def test_paths_are_written_as_people_write_them(steps, expected):
    """Names are joined by dots, positions and odd names stand in brackets."""
    assert expected == path_text(steps)


def test_an_alias_is_the_value_it_stands_for(tmp_path):
    """An anchored value may be used again."""
    path = written(tmp_path, "a.yaml", "a: &x [1, 2]\nb: *x\n")
    assert {"a": [1, 2], "b": [1, 2]} == read_file(path).value


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [("a.yaml", "a: 1\nb: 2\na: 3\n", 3), ("a.json", '{"a": 1,\n"b": 2,\n\n"a": 3}', 4)],
)
def test_a_key_that_is_there_twice_is_a_fault(tmp_path, name, content, line):
    """The second of two equal keys is reported with its line."""
    path = written(tmp_path, name, content)
    expected = f"{path}:{line}: a: the key is there twice; leave one out"
    assert [expected] == read_file(path).fault_problems()


def test_a_key_that_is_no_text_is_a_fault(tmp_path):
    """YAML takes `on` and numbers as keys; we ask for quotes."""
    path = written(tmp_path, "a.yaml", "a: 1\non: 2\n")
    assert [f"{path}:2: document: a key is a bool; quote it"] == read_file(path).fault_problems()


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "line", "expected"),
    [
        ("a.yaml", BOMB, None, "at most 300000 values"),
        ("a.yaml", "a: &a [*a]\n", None, "nested too deep"),
        ("a.yaml", "[" * 70 + "]" * 70, None, "nested too deep; at most 64"),
        ("a.yaml", "[" * 20000, None, "nested too deep"),
        ("a.json", "[" * 70 + "]" * 70, None, "nested too deep; at most 64"),
        ("a.json", "[" * 200000, None, "nested too deep"),
        ("a.json", "[" + "1," * 400_000 + "1]", None, "at most 300000 values"),
        ("a.yaml", "a: 1\nb: [1\n", 3, "not usable YAML"),
        ("a.yaml", "a: 1\n---\nb: 2\n", 2, "not usable YAML"),
        ("a.yaml", "a: 1\nb: *nowhere\n", 2, "undefined alias"),
        ("a.yaml", "a: !!python/object:os.system {}\n", 1, "tag"),
        ("a.yaml", "a: !secret x\n", 1, "not usable YAML"),
        ("a.yaml", "a: 2024-13-45\n", 1, "quote it"),
        ("a.yaml", "x: &x {a: 1}\ny:\n  <<: *x\n", 3, "merge key"),
        ("a.yaml", "? [a]\n: 1\n", 1, "a key is a list"),
        ("a.yaml", "a: \0", None, "not usable YAML"),
        ("a.yaml", "# nothing\n", None, "the file is empty"),
        ("a.json", '{"a": 1,\n"b" 2}', 2, "not JSON"),
        ("a.json", "", 1, "not JSON"),
        ("a.json", "9" * 5000, None, "not readable as JSON"),
        ("a.yaml", b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        ("a.yaml", b"#" * (MAX_BYTES + 1), None, "at most 1048576 bytes"),
        ("a.toml", "a = 1", None, "ends in .yaml, .yml, .json"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, name, content, line, expected):
    """A file that is broken, hostile or foreign is an error with the reason and, where known, the line."""
    with pytest.raises(DocumentError) as caught:
        read_file(written(tmp_path, name, content))
    assert expected in str(caught.value)
    assert line in (None, caught.value.line)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    """Files of editors that write a mark can be read."""
    assert {"a": 1} == read_file(written(tmp_path, "a.json", b'\xef\xbb\xbf{"a": 1}')).value


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are for POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    """Only plain files are opened."""
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(DocumentError, match="no such file"):
        read_file(tmp_path / "a.yaml")


def test_a_value_inside_itself_is_an_error():
    """A list that holds itself is too deep, not endless."""
    value: list[object] = []
    value.append(value)
    with pytest.raises(DocumentError, match="nested too deep"):
        of_python("here", value)

"""The parts of a page: nothing in them is taken for markup, and a page loads nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.report import markup


def test_a_document_holds_its_parts_and_escapes_its_words() -> None:
    made = markup.document(
        title="a < b",
        description='say "no"',
        body="<p>body</p>",
        drawn={"x": 1},
        styles=("page.css",),
        script="page.js",
    )
    assert "<title>a &lt; b</title>" in made and 'content="say &quot;no&quot;"' in made and "<p>body</p>" in made
    assert markup.asset("page.css") in made and markup.asset("page.js") in made and 'id="figures">{"x":1}<' in made


def test_the_first_button_is_pressed() -> None:
    first, second = markup.button("market", 0, "A&B"), markup.button("market", 1, "C")
    assert 'data-choose="market" data-value="0" aria-pressed="true">A&amp;B<' in first
    assert 'data-value="1" aria-pressed="false"' in second


def test_terms_are_the_leaves_of_nested_values() -> None:
    made = markup.terms({"seed": 1, "data": {"file_name": "<x>", "share": 0.5}, "varied": ["a", "b"], "none": []})
    assert made == (
        "<dl><dt>seed</dt><dd><code>1</code></dd><dt>data: file name</dt><dd><code>&lt;x&gt;</code></dd>"
        "<dt>data: share</dt><dd><code>0.5</code></dd><dt>varied</dt><dd><code>a, b</code></dd>"
        "<dt>none</dt><dd><code>none</code></dd></dl>"
    )


def test_json_cannot_end_its_script_element() -> None:
    assert markup.inline_json({"a": "</script><!--"}) == '{"a":"\\u003c/script>\\u003c!--"}'


def test_a_plotly_without_its_script_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "plotly").mkdir()
    (tmp_path / "plotly" / "__init__.py").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(FileNotFoundError, match="install plotly again"):
        markup.inline_script()
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(FileNotFoundError, match="install plotly again"):
        markup.inline_script()

"""Guides as HTML: links lead to other guides as HTML, so that a heading in them can be linked to."""

from __future__ import annotations

from app.api.pages import render_markdown


def test_links_to_other_guides_lose_their_ending_and_keep_their_heading() -> None:
    shown = render_markdown("[why](errors.md#aws-ecs) and [there](https://example.com/a.md)")
    assert 'href="errors#aws-ecs"' in shown
    assert 'href="https://example.com/a.md"' in shown

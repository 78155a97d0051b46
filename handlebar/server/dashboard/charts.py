"""Charts as SVG images."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from flask import Response

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""An image carries its own style, and does nothing."""

_COLOURS = ("#2f7d4f", "#c2412d", "#b7791f", "#3867b5", "#7a4fb0")


def stacked_bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], *, dark: bool) -> Response:
    """
    Return a chart of *series*, one bar for each of *labels*.

    Args:
        labels: What stands below each bar.

        series: The parts of the bars, by name.

        dark: Whether it stands on a dark page.
    """
    pygal, style_of = _library()

    ink, faint = ("#d6d9de", "#4a515b") if dark else ("#3a4048", "#d9dce1")
    style = style_of(
        background="transparent",
        plot_background="transparent",
        foreground=ink,
        foreground_strong=ink,
        foreground_subtle=ink,
        guide_stroke_color=faint,
        major_guide_stroke_color=faint,
        colors=_COLOURS,
        font_family="sans-serif",
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=14,
        no_data_font_size=14,
    )
    chart = pygal.StackedBar(
        style=style,
        width=900,
        height=260,
        js=(),
        legend_at_bottom=True,
        x_label_rotation=0,
        x_labels_major_count=8,
        show_minor_x_labels=False,
        truncate_label=-1,
        max_scale=5,
        margin=8,
        pretty_print=False,
    )
    chart.x_labels = list(labels)
    for name, values in series.items():
        chart.add(name, [_bar(value) for value in values])
    return Response(
        _without_scripts(chart.render_tree()), mimetype="image/svg+xml", headers={"content-security-policy": POLICY}
    )


@cache
def _library() -> tuple[Any, Any]:
    """Return pygal and its class of styles; it takes long to import, and only charts need it."""
    import pygal
    from pygal.style import Style

    # Its import hook, for plugins that nobody has, makes Python warn at other people's imports.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal, Style


def _without_scripts(image: Any) -> bytes:
    """Return *image* as text, without what pygal adds for pages that load its own scripts."""
    for element in list(image.iter()):
        for script in [child for child in element if str(child.tag).endswith("script")]:
            element.remove(script)
    # It is built with lxml where that is installed.
    from pygal.etree import etree

    text: bytes = etree.tostring(image)
    return text


def _bar(value: float) -> Any:
    return value or None

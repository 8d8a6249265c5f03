"""The dashboards as Grafana's JSON, made with the models of Grafana's own SDK, the same for the same code.

Needs the package of the extra `dashboards`; nothing that trades imports this.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import grafana_foundation_sdk.builders.bargauge as bars
import grafana_foundation_sdk.builders.common as common_builders
import grafana_foundation_sdk.builders.dashboard as builders
import grafana_foundation_sdk.builders.gauge as gauge
import grafana_foundation_sdk.builders.heatmap as heatmap
import grafana_foundation_sdk.builders.prometheus as prometheus
import grafana_foundation_sdk.builders.stat as stat
import grafana_foundation_sdk.builders.statetimeline as states
import grafana_foundation_sdk.builders.table as table
import grafana_foundation_sdk.builders.timeseries as graph
from grafana_foundation_sdk.cog.builder import Builder as BuilderOf
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

from hlhft.monitor.panels import COLUMNS, HEADER_HEIGHT, Board, Colour, Panel, Place, Query, Row, View, below, placed

TAG = "hlhft"  # a dashboard of somebody's own with it is linked, too
# Pages of the documentation that explain what is seen here.
PAGES = (("Runbook", "runbook.md"), ("Metrics", "metrics.md"), ("Monitoring", "monitoring.md"))
STEP = "5s"  # no finer than the dashboard is drawn anew
DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
NEWEST = common_builders.ReduceDataOptions().calcs(["lastNotNull"])

# A panel's builder by its view; the SDK has a class of its own for each, with the same names of methods.
Builder = Any


def as_json(board: Board, documents: str = "") -> str:
    """The dashboard as a file that Grafana imports or is provisioned with; ends with a line's end.

    `documents` is where the documentation's folder is served, an address without a slash at its end; nothing: no links.
    """
    return JSONEncoder(sort_keys=True, indent=2).encode(model(board, documents)) + "\n"


def model(board: Board, documents: str = "") -> dashboard.Dashboard:
    """The dashboard as the SDK's model."""
    made = (
        builders.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("utc")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh(STEP)
        .variables(_variables(board))
        .annotations([_annotation(*parts) for parts in board.annotations])
        .links(_links(documents))
        .build()
    )
    made.panels = _rows(board.rows)
    return made


def _rows(rows: Sequence[Row]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """All rows below each other, with their panels; those of a closed row stand within it, as Grafana has them."""
    made: list[dashboard.Panel | dashboard.RowPanel] = []
    numbers = count(1)
    y = 0
    for row in rows:
        header = (
            builders.Row(row.title)
            .id(next(numbers))
            .collapsed(not row.is_open)
            .grid_pos(dashboard.GridPos(h=HEADER_HEIGHT, w=COLUMNS, x=0, y=y))
        )
        if row.repeat:
            header = header.repeat(row.repeat)
        y += HEADER_HEIGHT
        places = placed(row.panels, y)
        panels = [_panel(next(numbers), panel, place) for panel, place in zip(row.panels, places, strict=True)]
        title = header.build()
        made.append(title)
        if row.is_open:
            made += panels
            y = below(places, y)
        else:
            title.panels = panels
    return made


def _panel(number: int, panel: Panel, place: Place) -> dashboard.Panel:
    made = _BUILDERS[panel.view](panel)
    made = (
        made.id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(DATASOURCE)
        .grid_pos(dashboard.GridPos(h=place.height, w=place.width, x=place.x, y=place.y))
        .targets([_target(panel, query, chr(ord("A") + index)) for index, query in enumerate(panel.queries)])
    )
    if panel.view is not View.HEATMAP:  # its colours are numbers of values, its unit that of the axis
        made = _with_fields(made, panel)
    built: dashboard.Panel = made.build()
    return built


def _with_fields(made: Builder, panel: Panel) -> Builder:
    """How values are written and coloured."""
    made = made.unit(panel.unit.value)
    if panel.minimum is not None:
        made = made.min(panel.minimum)
    if panel.maximum is not None:
        made = made.max(panel.maximum)
    if panel.decimals is not None:
        made = made.decimals(panel.decimals)
    if panel.no_value:
        made = made.no_value(panel.no_value)
    if panel.words:
        results = {
            str(value): dashboard.ValueMappingResult(text=text, color=colour.value, index=index)
            for index, (value, text, colour) in enumerate(panel.words)
        }
        made = made.mappings([dashboard.ValueMap(options=results)])
    steps = panel.steps or ((None, Colour.NONE),)
    made = made.thresholds(
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=colour.value) for value, colour in steps])
    )
    for name, colour in panel.by_name:
        fixed = {"mode": dashboard.FieldColorModeId.FIXED.value, "fixedColor": colour.value}
        made = made.override_by_name(name, [dashboard.DynamicConfigValue(id_val="color", value=fixed)])
    return made


def _stat(panel: Panel) -> Builder:
    is_simple = len(panel.queries) == 1
    shown = common.BigValueTextMode.VALUE if is_simple else common.BigValueTextMode.VALUE_AND_NAME
    return (
        stat.Panel()
        .reduce_options(NEWEST)
        .graph_mode(common.BigValueGraphMode.NONE if panel.is_named else common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.BACKGROUND if panel.is_named else common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.NAME if panel.is_named else shown)
        .color_scheme(_by_threshold())
    )


def _gauge(panel: Panel) -> Builder:
    return gauge.Panel().reduce_options(NEWEST).show_threshold_markers(True).color_scheme(_by_threshold())


def _bars(panel: Panel) -> Builder:
    return (
        bars.Panel()
        .reduce_options(NEWEST)
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .color_scheme(_by_threshold())
    )


def _graph(panel: Panel) -> Builder:
    made = (
        graph.Panel()
        .line_width(1)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(False)  # a gap is a fact
        .legend(_legend())
        .tooltip(_tooltip())
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    )
    if panel.steps:
        dashed = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        made = made.thresholds_style(dashed)
    return made


def _heatmap(panel: Panel) -> Builder:
    """Of counts by bucket: nothing is left to be calculated."""
    axis = heatmap.YAxisConfig().unit(panel.unit.value).axis_placement(common.AxisPlacement.LEFT)
    colours = (
        heatmap.HeatmapColorOptions()
        .mode(heatmap_models.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )
    return (
        heatmap.Panel()
        .calculate(False)
        .y_axis(axis)
        .color(colours)
        .cell_gap(0)
        .scale_distribution(common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LINEAR))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_value(common.VisibilityMode.NEVER)
    )


def _states(panel: Panel) -> Builder:
    return (
        states.Panel()
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(80)
        .legend(_legend())
        .tooltip(_tooltip())
        .color_scheme(_by_threshold())
    )


def _table(panel: Panel) -> Builder:
    made = table.Panel().show_header(True)
    if not panel.columns:
        hidden: dict[str, object] = {"excludeByName": {"Time": True, "Value": True}}
        return made.transformations([dashboard.DataTransformerConfig(id_val="organize", options=hidden)])
    turned: dict[str, object] = {
        "columnField": panel.columns,
        "rowField": panel.rows,
        "valueField": "Value",
        "emptyValue": "null",
    }
    return made.transformations([dashboard.DataTransformerConfig(id_val="groupingToMatrix", options=turned)])


_BUILDERS: dict[View, Any] = {
    View.STAT: _stat,
    View.GAUGE: _gauge,
    View.BARS: _bars,
    View.GRAPH: _graph,
    View.HEATMAP: _heatmap,
    View.STATES: _states,
    View.TABLE: _table,
}


def _target(panel: Panel, query: Query, letter: str) -> prometheus.Dataquery:
    forms = {
        View.HEATMAP: prometheus_models.PromQueryFormat.HEATMAP,
        View.TABLE: prometheus_models.PromQueryFormat.TABLE,
    }
    made = (
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(letter)
        .datasource(DATASOURCE)
        .editor_mode(prometheus_models.QueryEditorMode.CODE)
        .format(forms.get(panel.view, prometheus_models.PromQueryFormat.TIME_SERIES))
        .interval(STEP)
    )
    return made.instant() if panel.is_instant else made.range()


def _variables(board: Board) -> list[Any]:
    """Which Prometheus, and then what the board lets one choose; a list that grows is asked for with the time shown."""
    made: list[Any] = [builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus")]
    for name, title, selector, label, is_many in board.variables:
        variable = (
            builders.QueryVariable(name)
            .label(title)
            .datasource(DATASOURCE)
            .query(f"label_values({selector}, {label})")
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        )
        if is_many:
            everything = dashboard.VariableOption(text=["All"], value=["$__all"], selected=True)
            variable = variable.multi(True).include_all(True).all_value(".*").current(everything)
        made.append(variable)
    return made


def _annotation(name: str, expression: str, colour: Colour) -> builders.AnnotationQuery:
    return (
        builders.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(colour.value)
        .expr(expression)
    )


def _links(documents: str) -> list[BuilderOf[dashboard.DashboardLink]]:
    """To other dashboards of the same tag, with what is chosen here, to Grafana's page of alerts, and to the pages."""
    others = builders.DashboardLink("Dashboards").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
    addresses = [("Alerts", "/alerting/list"), *((title, f"{documents}/{page}") for title, page in PAGES if documents)]
    return [
        others.as_dropdown(True).include_vars(True).keep_time(True),
        *(
            builders.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(address).target_blank(True)
            for title, address in addresses
        ),
    ]


def _by_threshold() -> builders.FieldColor:
    return builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _tooltip() -> common_builders.VizTooltipOptions:
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)

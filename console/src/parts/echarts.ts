// Only what is drawn: bars and lines over time or names. A chunk of its own.
import { BarChart, LineChart } from "echarts/charts";
import { BrushComponent, GridComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init as make, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, BrushComponent, GridComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent, CanvasRenderer]);

export type { EChartsType } from "echarts/core";
export type { EChartsCoreOption as Option } from "echarts/core";

export const init = (box: HTMLElement) => make(box, undefined, { renderer: "canvas" });

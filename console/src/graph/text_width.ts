// How wide a text is drawn, measured in the font of the page.

const DETAIL_SIZE = "11px";
const widths = new Map<string, number>();
let context: CanvasRenderingContext2D | null = null;

/** Return the width of a text at the size of details, in pixels. */
export function measureDetail(text: string): number {
  const known = widths.get(text);
  if (known !== undefined) return known;
  context ??= document.createElement("canvas").getContext("2d");
  if (!context) return text.length * 7;
  context.font = `${DETAIL_SIZE} ${getComputedStyle(document.body).fontFamily}`;
  const { width } = context.measureText(text);
  if (widths.size > 5000) widths.clear();
  widths.set(text, width);
  return width;
}

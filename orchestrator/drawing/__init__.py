"""Draw the graph of a definition: Mermaid text, a layout with coordinates, and SVG."""

"""Draw the graph of a definition: Mermaid text and SVG."""

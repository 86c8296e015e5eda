"""Values to text and pictures: templates, tables, units, times, the layer forest. Pure: no I/O, no environment."""

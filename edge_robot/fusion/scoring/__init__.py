"""How good tracks are: recorded labels and detections in, the field's figures out."""

"""Images and points in, detections out."""

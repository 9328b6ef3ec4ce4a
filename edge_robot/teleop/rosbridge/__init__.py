"""rosbridge v2, as far as pages written with roslibjs need it, on the dashboard's port."""

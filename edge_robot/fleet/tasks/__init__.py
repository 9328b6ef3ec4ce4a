"""What can be offloaded: for each task, its request and the reader of the answer to it.

A request can only be made of what the boundary has cleared. An answer is read together with what
was sent, since boxes come back in pixels of that; one that cannot be true is rejected.
"""

"""The hand-off control plane: packets, and who is told of them."""

"""What every agent framework's adapter is made of: one gate, one delta tracker, one run bracket."""

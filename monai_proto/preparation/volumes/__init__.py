"""Steps that the preparations of volumes share: checks, division, output, and what takes them in this order."""

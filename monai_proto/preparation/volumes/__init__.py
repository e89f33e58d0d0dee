"""Steps that all preparations of volumes share."""

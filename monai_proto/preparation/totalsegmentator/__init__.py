"""TotalSegmentator folders: one folder a subject, one mask an organ."""

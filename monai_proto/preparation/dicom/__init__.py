"""Trees of mixed DICOM files."""

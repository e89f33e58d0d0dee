"""Medical Segmentation Decathlon folders, and folders laid out like them."""

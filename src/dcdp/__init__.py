"""dcdp: multimodal human-activity recognition that uses every sensor."""

__version__ = "0.1.0"

"""Measuring: convert ops and networks to TFLite, time them on this machine or on a phone, fill a table."""

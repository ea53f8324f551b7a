"""Readers of recorder formats: phone apps, LabStreamingLayer, Axivity, ActiGraph, Apple Health."""

from __future__ import annotations

from dcdp.data.readers.registry import Reader, list_readers, read_capture, recognise

__all__ = ["Reader", "list_readers", "read_capture", "recognise"]

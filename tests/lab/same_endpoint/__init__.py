"""Tests of the chapter that makes one endpoint in several ways."""

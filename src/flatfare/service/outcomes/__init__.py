"""Outcome records: one open document per unit of work, to take a figure out of a book and into another.

What is exported says all that reports read, so that a book made of its records reports the same.
"""

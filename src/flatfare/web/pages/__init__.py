"""The dashboard: what finished work costs, who spends, and what needs attention, as pages.

Each page is made from the same figures that the command line and the API print, and each is
also JSON and CSV at the same address.
"""

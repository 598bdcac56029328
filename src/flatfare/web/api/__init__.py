"""The API: one module a noun, each a list of endpoints."""

from flatfare.web.api import calls, keys, reports

ENDPOINTS = (*reports.ENDPOINTS, *calls.ENDPOINTS, *keys.ENDPOINTS)
